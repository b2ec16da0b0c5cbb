"""A folder of CSV files goes into a database, many at a time; damaged files go into quarantine, each with its reason.

Every file is loaded whole or not at all. While at most one file in ten is damaged the run completes, and a summary
says how it went. With one more the delivery as a whole is not to be trusted: the run fails, and every file that was
loaded is taken out again.

    actionbus dev examples/data_pipeline.py
    actionbus runs start load-folder '{"folder": "deliveries/march", "quarantine": "quarantine"}' --result

The database is that of ``ACTIONBUS_STORE_DEFAULT_URL``. ``python examples/pipeline_demo.py`` makes folders, loads them
while a worker is killed, and lets a judge compare files and rows.
"""

import asyncio
import csv
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, FiniteFloat, ValidationError
from sqlalchemy import Column, DateTime, Float, Integer, MetaData, String, Table, delete, func, insert, select

from actionbus import ActionContext, Failure, Flow, NonRetryable, action, rule, workflow

MAY_BE_DAMAGED_PERCENT = 10
AT_A_TIME = 10

TABLES = MetaData()
MEASUREMENTS = Table(
    "measurements",
    TABLES,
    Column("file", String(400), index=True, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("sensor", String(40), nullable=False),
    Column("value", Float, nullable=False),
)
DELIVERIES = Table(
    "deliveries",
    TABLES,
    Column("folder", String(400), nullable=False),
    Column("loaded", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
)


class Delivery(BaseModel):
    """What a run is started with: where the files are, and where damaged ones go."""

    folder: str
    quarantine: str


class Measurement(BaseModel):
    """One line of a file."""

    time: datetime
    sensor: str
    value: FiniteFloat


class Summary(BaseModel):
    """What a completed run gives: files that were loaded or set aside, and rows."""

    loaded: int
    quarantined: int
    rows: int


@action(id="prepare-tables", effect="transactional")
async def prepare_tables(ctx: ActionContext) -> None:
    """Makes the tables where they are not there yet."""
    await (await ctx.db.connection()).run_sync(TABLES.create_all)


@action(id="list-files")
def list_files(folder: str) -> list[str]:
    """The files of the delivery. The list stays in the run: what arrives later belongs to the next one."""
    return sorted(str(file) for file in Path(folder).glob("*.csv"))


@action(id="load-file", effect="transactional")
async def load_file(ctx: ActionContext, file: str) -> int:
    """Inserts all rows of a file; they and the completion of the step are one commit. Gives how many they are."""
    rows = await asyncio.to_thread(read, Path(file))
    await ctx.db.execute(insert(MEASUREMENTS), [{"file": file, **row.model_dump()} for row in rows])
    return len(rows)


@action(id="unload-file", effect="transactional")
async def unload_file(ctx: ActionContext, file: str) -> None:
    """Takes load-file back."""
    await ctx.db.execute(delete(MEASUREMENTS).where(MEASUREMENTS.c.file == file))


@action(id="quarantine-file")
def quarantine_file(file: str, quarantine: str, reason: str) -> None:
    """Moves a file away, with the reason beside it. May run again after a crash: then the file is there already."""
    source, target = Path(file), Path(quarantine, Path(file).name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".reason").write_text(f"{reason}\n", encoding="utf-8")
    if source.exists():
        source.replace(target)


@action(id="summarise", effect="transactional")
async def summarise(ctx: ActionContext, folder: str, loaded: list[int | None]) -> Summary:
    """Counts what is in the database now, and writes it down beside it."""
    of_folder = MEASUREMENTS.c.file.startswith(f"{folder}/", autoescape=True)
    rows = (await ctx.db.execute(select(func.count()).select_from(MEASUREMENTS).where(of_folder))).scalar_one()
    damaged = loaded.count(None)
    summary = Summary(loaded=len(loaded) - damaged, quarantined=damaged, rows=rows)
    await ctx.db.execute(insert(DELIVERIES).values(folder=folder, **summary.model_dump()))
    return summary


@workflow(id="load-folder", version="1", description="Loads a folder of CSV files into a database.")
def load_folder(flow: Flow, delivery: Delivery) -> Summary:
    """Each file has a step and an undo of its own; the map says how many at a time, and how many may fail."""
    flow.run(prepare_tables())
    files = flow.run(list_files(folder=delivery.folder))
    loaded = flow.map(
        files,
        lambda file: load_or_set_aside(flow, delivery, file),
        id="files",
        concurrency=AT_A_TIME,
        may_fail_percent=MAY_BE_DAMAGED_PERCENT,
    )
    return flow.run(summarise(folder=delivery.folder, loaded=loaded))


def load_or_set_aside(flow: Flow, delivery: Delivery, file: str) -> int:
    """What is done with one file. It counts as failed also once it is in quarantine, or nothing would be counted."""

    def set_aside(failure: Failure) -> NoReturn:
        flow.run(quarantine_file(file=file, quarantine=delivery.quarantine, reason=failure.message))
        flow.fail("Damaged", failure.message)

    return flow.attempt(
        lambda: flow.run(load_file(file=file), undo=lambda _: unload_file(file=file)),
        on_failure=[rule("Damaged").handle(set_aside)],
    )


def read(file: Path) -> list[Measurement]:
    """The lines of a file; raises NonRetryable of type Damaged, with the line and what is wrong with it."""
    rows: list[Measurement] = []
    with file.open(encoding="utf-8", newline="") as text:
        lines = csv.DictReader(text)
        try:
            rows.extend(Measurement.model_validate(line) for line in lines)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise NonRetryable(f"{file.name}, line {lines.line_num}: {wrong}", type="Damaged") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise NonRetryable(f"{file.name} is no CSV file: {error}", type="Damaged") from error
    if not rows:
        raise NonRetryable(f"{file.name} has no rows", type="Damaged")
    return rows
