"""Settings of the media plane: of one worker process, and of the pool that runs them.

The pool hands a worker its settings as JSON on the command line; both ends ship together.
"""

from __future__ import annotations

import msgspec


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits and times of one worker."""

    sessions_max: int = 1_000
    """Open sessions; `OpenSession` beyond is rejected with LIMIT."""
    streams_max: int = 5
    """Streams per session, of any kind; `OpenStream` beyond is rejected with LIMIT."""
    plays_max: int = 64
    """Playbacks waiting or running per session; `Play` beyond is rejected with LIMIT."""
    room_members_max: int = 64
    """Sessions of this worker in one room; `JoinRoom` beyond is rejected with LIMIT."""
    recordings_max: int = 8
    """Recordings per session at a time; `StartRecording` beyond is rejected with LIMIT."""
    recording_queue_bytes: int = 1024 * 1024
    """Audio of one recording that may wait for the disk (half a minute in stereo) before it is dropped."""
    recording_queues_bytes: int = 64 * 1024 * 1024
    """The same for all recordings of the worker."""
    recording_free_min_bytes: int = 1024 * 1024 * 1024
    """Free space below which recordings end, or 5 % of the disk if that is less."""
    noise_engine: str = "auto"
    """`dtln`, `speex`, or `auto`: the best that is installed."""
    noise_streams_max: int = 12
    """Streams with `dtln` at a time; further ones get `speex`."""
    machine_detector: str = ""
    """`package.module:factory` of an `AnswererDetector`; empty: the rules."""
    listens_max: int = 4
    """Listenings per session; `Listen` beyond is rejected with LIMIT."""
    detached_limit_ms: int = 300_000
    """How long calls live without a server (reference: reliability F-49)."""
    first_attach_ms: int = 60_000
    """How long a fresh worker waits for its first server."""
    idle_exit_ms: int = 10_000
    """How long a worker without a server and without anything to keep stays."""
    port_rest_ms: int = 30_000
    """How long a port rests before it is used again."""
    port_rest_min_ms: int = 5_000
    """How long it rests at least, even when no other port is free."""
    ledger_max_items: int = 10_000
    ledger_max_bytes: int = 8 * 1024 * 1024
    link_high_water_bytes: int = 256 * 1024
    """Bytes waiting on the server's socket above which events stay in the ledger and statistics are dropped."""
    remembered_commands_max: int = 4_096
    """Answers kept so that a repeated command is answered again and not carried out twice."""
    stats_interval_ms: int = 1_000
    late_slot_ms: int = 10
    """A slot that runs so much later than it was due counts as late."""
    stream_send_max_bytes: int = 4 * 1024
    """Bytes waiting on an agent's WebSocket above which further messages wait in the stream's own queue, which is
    bounded in time."""
    stream_kernel_buffer_bytes: int = 64 * 1024
    """Bytes that the kernel holds besides, for what an agent has not acknowledged yet."""
    stream_unsent_max_bytes: int = 8 * 1024
    """Bytes of them that the agent's side has no room for: about half a second of audio that is getting old."""
    stream_ca_file: str = ""
    """Authorities that agents' certificates may come from, besides the system's."""
    stream_messages_per_s: int = 1_000
    stream_messages_burst: int = 4_000
    stream_frame_max_bytes: int = 2 * 1024 * 1024
    stream_fragments_max: int = 64
    stream_dial_max_ms: int = 12_000
    """All attempts to connect together, pauses included: a caller hears no longer silence (reference: reliability I-1,
    F-01)."""
    stream_settled_ms: int = 60_000
    """A connection that lasted so long may drop again as if for the first time."""
    stream_ping_ms: int = 30_000
    """Interval of our pings to the agent; half a minute, because some agents answer slowly."""
    stream_pong_timeout_ms: int = 60_000
    """Silence after a ping that counts as a lost connection."""
    stream_close_timeout_ms: int = 1_000
    """How long an agent may take to answer a close before the socket is cut."""
    play_max_bytes: int = 50 * 1024 * 1024
    play_max_ms: int = 7_200_000
    play_decode_per_minute_ms: int = 10_000
    """Decoding time allowed per minute of audio."""
    play_cache_bytes: int = 16 * 1024 * 1024
    """Decoded audio kept in memory for files that are played again."""


class LoadRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a worker has too much to do for new calls; the rule is `media.pool.load`."""

    is_on: bool = True
    sessions_min: int = 50
    """A worker with fewer sessions takes more whatever its figures say: other programs may keep the machine busy."""
    late_percent: int = 15
    """Share of late slots from which on a second counts as late; one in which the loop never rested does too."""
    calm_percent: int = 5
    """Share of late slots up to which a second counts as calm."""
    pace_after_ms: int = 2_000
    """So long must a worker have been late before it takes `paced_per_s` new calls only."""
    full_after_ms: int = 4_000
    """And so long before it takes none."""
    open_after_ms: int = 5_000
    """So long must it have been better before it takes a few again, and calm before it takes any number."""
    paced_per_s: int = 5


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many workers run, where their sockets are, and how long things may take."""

    runtime_dir: str
    """Absolute folder (created with mode 0700) of the workers' sockets and logs."""
    workers: int = 0
    """Worker processes; 0 is one per core."""
    rtp_port_low: int = 20_000
    rtp_port_high: int = 29_999
    """Inclusive range, cut into one slice per worker."""
    command_timeout_ms: int = 2_000
    connect_timeout_ms: int = 30_000
    """How long a started worker may take until it listens."""
    ping_interval_ms: int = 500
    pings_missed_max: int = 4
    """Unanswered pings after which a worker counts as hung and is replaced (reference: reliability F-30)."""
    restart_delay_min_ms: int = 100
    restart_delay_max_ms: int = 10_000
    """Back-off between deaths of the same slot; a life of a minute starts it again."""
    orphan_grace_ms: int = 5_000
    """How long sessions that no one knows stay open after a worker of an earlier server was found."""
    shutdown_timeout_ms: int = 3_000
    environment: tuple[tuple[str, str], ...] = ()
    """Environment of the workers; nothing else is inherited, so no secret of the server reaches them."""
    worker: WorkerSettings = WorkerSettings()
    load: LoadRules = LoadRules()
