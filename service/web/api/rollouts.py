"""How far a rotation is, and what a look at a live endpoint found."""

from __future__ import annotations

from typing import Annotated, get_args

import msgspec

from service import records
from service.inventory import rollout as rollouts
from service.inventory.rollout import Progress, Rollout
from service.records import Canary, Job, Step
from service.web import identity
from service.web.api import shapes
from service.web.api.certificates import Codes
from service.web.api.operation import PREFIX, Answer, call
from service.web.api.words import Moment, one_of

StateOfRollout = Annotated[str, one_of(get_args(rollouts.RolloutState))]
StateOfConsumer = Annotated[str, one_of(get_args(rollouts.ConsumerState))]
StateOfJob = Annotated[str, one_of(get_args(records.JobState))]
OutcomeOfJob = Annotated[str, one_of(get_args(records.JobOutcome))]


class StepShape(msgspec.Struct, frozen=True):
    """How far a consumer came with which version, and when. `after_s` is null for an earlier version."""

    version: int
    at: Moment
    after_s: float | None


class ConsumerRollout(msgspec.Struct, frozen=True):
    """One consumer. `serving` is what a handshake from outside shows; of a cluster, what it says that it installed."""

    consumer: str
    title: str
    enabled: bool
    state: StateOfConsumer
    told: StepShape | None
    fetched: StepShape | None
    installed: StepShape | None
    serving: StepShape | None
    reason: str
    hint: str
    sessions: int | None
    sessions_before: int | None


class CanaryShape(msgspec.Struct, frozen=True):
    """One consumer tries `version` first; the others stay at `base` until it is seen serving, or `until`."""

    consumer: str
    base: int
    version: int
    until: Moment
    job: str


class RolloutShape(msgspec.Struct, frozen=True):
    """The rollout of a certificate's current version, stragglers first."""

    certificate: str
    version: int
    state: StateOfRollout
    started_at: Moment
    took_s: float | None
    serving: int
    wanted: int
    stragglers: list[str]
    canary: CanaryShape | None
    consumers: list[ConsumerRollout]


class JobShape(msgspec.Struct, frozen=True):
    """A job. `report` is what was seen, by name."""

    id: str
    kind: str
    subject: str
    state: StateOfJob
    outcome: OutcomeOfJob
    findings: list[shapes.FindingShape]
    report: dict[str, str]
    asked_at: Moment
    finished_at: Moment | None


@call(
    "GET",
    "/certificates/<name>/rollout",
    tag="certificates",
    summary="How far each consumer is with the current version.",
    answer=RolloutShape,
    problems=(401, 404, 503),
)
def get_rollout(name: str) -> RolloutShape:
    """`GET /certificates/{name}/rollout`."""
    return rollout(identity.inventory().certificates.rollout(name))


@call(
    "POST",
    "/relays/<name>/test",
    tag="relays",
    summary="Look at the live endpoint, and say what is wrong with it.",
    status=202,
    answer=JobShape,
    problems=(401, 403, 404, 422, 503),
)
def test_relay(name: str) -> Answer:
    """`POST /relays/{name}/test`."""
    job = identity.inventory().jobs.test_relay(name)
    return Answer(job_shape(job), location=f"{PREFIX}/jobs/{job.id}")


class Rollback(msgspec.Struct, forbid_unknown_fields=True):
    """Which former version becomes the newest one; `accept` names harmful impacts."""

    version: int
    accept: Codes = []


@call(
    "POST",
    "/certificates/<name>/rollback",
    tag="certificates",
    summary="Return to a former version: the worker makes its content the newest one.",
    status=202,
    body=Rollback,
    answer=JobShape,
    problems=(400, 401, 403, 404, 409, 415, 422, 503),
)
def rollback_certificate(name: str, body: Rollback) -> Answer:
    """`POST /certificates/{name}/rollback`."""
    job = identity.inventory().certificates.rollback(name, body.version, accept=body.accept)
    return Answer(job_shape(job), location=f"{PREFIX}/jobs/{job.id}")


@call("GET", "/jobs/<job>", tag="jobs", summary="A job, and its outcome.", answer=JobShape, problems=(401, 404, 503))
def get_job(job: str) -> JobShape:
    """`GET /jobs/{id}`."""
    return job_shape(identity.inventory().jobs.get(job))


def rollout(found: Rollout) -> RolloutShape:
    """A rollout as the API shows it."""
    return RolloutShape(
        certificate=found.certificate,
        version=found.version,
        state=found.state,
        started_at=found.started_at,
        took_s=found.took_s,
        serving=found.serving,
        wanted=len(found.wanted),
        stragglers=[one.consumer for one in found.stragglers],
        canary=_canary(found.canary),
        consumers=[_consumer(one, found.version) for one in found.consumers],
    )


def _canary(one: Canary | None) -> CanaryShape | None:
    return CanaryShape(one.consumer, one.base, one.version, one.until, one.job) if one else None


def _consumer(one: Progress, version: int) -> ConsumerRollout:
    def step(taken: Step | None) -> StepShape | None:
        return StepShape(taken.version, taken.at, one.after_s(taken, version)) if taken else None

    return ConsumerRollout(
        consumer=one.consumer,
        title=one.title,
        enabled=one.enabled,
        state=one.state,
        told=step(one.told),
        fetched=step(one.fetched),
        installed=step(one.installed),
        serving=step(one.serving),
        reason=one.reason,
        hint=one.hint,
        sessions=one.sessions,
        sessions_before=one.sessions_before,
    )


def job_shape(job: Job) -> JobShape:
    """A job as the API shows it."""
    return JobShape(
        id=job.id,
        kind=job.kind,
        subject=job.subject,
        state=job.state,
        outcome=job.outcome,
        findings=[shapes.finding(one) for one in job.findings],
        report=dict(job.report or {}),
        asked_at=job.asked_at,
        finished_at=job.finished_at,
    )
