import os

import pytest

from ringback.cli.data_folder import RunFile, kept_token, locked, open_data_folder
from ringback.cli.failure import Failure


def run_file(pid: int) -> RunFile:
    return RunFile(pid, "http://127.0.0.1:1", "127.0.0.1", 2, "MA", "secret", "/x", "0.1.0")


def test_folder_belongs_to_its_owner_and_is_ignored_by_git(tmp_path):
    folder = open_data_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert open_data_folder(folder) == folder


def test_unusable_folder_is_a_failure_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="RB5007"):
        open_data_folder(tmp_path / "file")


def test_token_is_made_once_for_the_owner_only(tmp_path):
    token = kept_token(tmp_path)
    assert len(token) == 40
    assert kept_token(tmp_path) == token
    assert (tmp_path / "auth_token").stat().st_mode & 0o777 == 0o600


def test_empty_token_file_is_replaced(tmp_path):
    (tmp_path / "auth_token").write_text("\n")
    assert kept_token(tmp_path)


def test_one_server_at_a_time(tmp_path):
    with locked(tmp_path), pytest.raises(Failure, match="RB5005"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_second_server_is_told_who_holds_the_folder(tmp_path):
    run_file(os.getpid()).write(tmp_path)
    with locked(tmp_path), pytest.raises(Failure, match=f"pid {os.getpid()} at http://127.0.0.1:1"), locked(tmp_path):
        pass


def test_run_file_is_read_back_while_its_process_lives(tmp_path):
    run_file(os.getpid()).write(tmp_path)
    assert RunFile.read(tmp_path) == run_file(os.getpid())
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600
    run_file(os.getpid()).remove(tmp_path)
    assert RunFile.read(tmp_path) is None


def test_run_file_of_a_dead_process_or_another_version_counts_for_nothing(tmp_path):
    run_file(2**22 + 1).write(tmp_path)
    assert RunFile.read(tmp_path) is None
    for text in ("", "[]", "{}", '{"pid": 1}', "{"):
        (tmp_path / "run.json").write_text(text)
        assert RunFile.read(tmp_path) is None


def test_run_file_of_a_newer_server_is_left_alone(tmp_path):
    run_file(os.getpid()).write(tmp_path)
    run_file(os.getppid()).remove(tmp_path)
    assert RunFile.read(tmp_path) is not None
