"""The media worker process: sockets, pacing and files around `media.session` and `media.stream`.

Nobody imports it; `media.pool.supervisor` starts `main` as a process. It knows no calls, accounts or database.
"""
