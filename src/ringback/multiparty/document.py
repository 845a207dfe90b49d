"""The document that the API makes a call run when it adds it: one `<MultiPartyCall>`. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from ringback.multiparty.spec import MultipartySpec, Sound


def document_of(spec: MultipartySpec) -> bytes:
    """Return XML that `callflow` reads as this very spec."""
    attributes = {
        "role": spec.role.value,
        "maxDuration": str(spec.duration_max_s),
        "maxParticipants": str(spec.participants_max),
        "coachMode": _truth(spec.is_coach),
        "mute": _truth(spec.is_muted),
        "hold": _truth(spec.is_held),
        "startMpcOnEnter": _truth(spec.starts_on_enter),
        "endMpcOnExit": _truth(spec.ends_on_exit),
        "stayAlone": _truth(spec.stays_alone),
        "relayDTMFInputs": _truth(spec.relays_digits),
        "statusCallbackEvents": ",".join(group.value for group in spec.event_groups),
        "enterSound": spec.enter_sound.url or "none",
        "enterSoundMethod": spec.enter_sound.method,
        "exitSound": spec.exit_sound.url or "none",
        "exitSoundMethod": spec.exit_sound.method,
        **_url("waitMusic", spec.wait_music),
        **_url("agentHoldMusic", spec.agent_hold_music),
        **_url("customerHoldMusic", spec.customer_hold_music),
        **_url("statusCallback", Sound(spec.status_url, spec.status_method)),
        **_url("onExitAction", Sound(spec.exit_url, spec.exit_method)),
        "record": _truth(spec.is_recorded),
        "recordMinMemberCount": str(spec.record_min),
        "recordParticipantTrack": _truth(spec.records_track),
        "recordFileFormat": spec.record_format,
        "transcript": _truth(spec.wants_transcription),
        **({"transcriptionUrl": spec.transcription_url} if spec.transcription_url else {}),
        **_url("recordingCallback", Sound(spec.recording_url, spec.recording_method)),
        **_audio("startRecordingAudio", spec.start_recording_sound),
        **_audio("stopRecordingAudio", spec.stop_recording_sound),
    }
    text = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<Response><MultiPartyCall {text}>{escape(spec.name)}</MultiPartyCall></Response>".encode()


def _url(name: str, sound: Sound) -> dict[str, str]:
    return {f"{name}Url": sound.url, f"{name}Method": sound.method} if sound.url else {}


def _audio(name: str, sound: Sound) -> dict[str, str]:
    return {name: sound.url, f"{name}Method": sound.method} if sound.url else {}


def _truth(value: bool) -> str:
    return "true" if value else "false"
