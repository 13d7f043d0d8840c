"""The radius search of the web service, as FastAPI with SQLAlchemy and GeoAlchemy2 would have it.

scripts/load runs it; DATABASE_URL names the database.
"""

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from geoalchemy2 import Geography
from geoalchemy2.functions import ST_Distance, ST_DWithin, ST_MakePoint, ST_SetSRID
from pydantic import BaseModel, ConfigDict
from sqlalchemy import cast, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

url = os.environ["DATABASE_URL"].replace("postgres://", "postgresql+asyncpg://", 1)
engine = create_async_engine(url, pool_size=5, max_overflow=10)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class School(Base):
    __tablename__ = "schools"

    id: Mapped[int] = mapped_column(primary_key=True)
    urn: Mapped[int]
    name: Mapped[str]
    council: Mapped[str | None]
    status: Mapped[str]
    phase: Mapped[str | None]
    type: Mapped[str | None]
    gender: Mapped[str | None]
    faith: Mapped[str | None]
    postcode: Mapped[str | None]
    is_private: Mapped[bool | None]
    age_range_from: Mapped[int | None]
    age_range_to: Mapped[int | None]
    ofsted_rating: Mapped[int | None]
    lat: Mapped[float | None]
    lng: Mapped[float | None]
    location = mapped_column(Geography("POINT", srid=4326))


class SchoolHit(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    urn: int
    name: str
    council: str | None
    status: str
    phase: str | None
    type: str | None
    gender: str | None
    faith: str | None
    postcode: str | None
    is_private: bool | None
    age_range_from: int | None
    age_range_to: int | None
    ofsted_rating: int | None
    lat: float | None
    lng: float | None
    distance_km: float | None = None


class Page(BaseModel):
    schools: list[SchoolHit]
    next: str | None


async def session():
    async with sessions() as session:
        yield session


@app.get("/schools")
async def schools(lat: float, lng: float, session: Annotated[AsyncSession, Depends(session)]) -> Page:
    home = cast(ST_SetSRID(ST_MakePoint(lng, lat), 4326), Geography("POINT", srid=4326))
    distance = ST_Distance(School.location, home, False)
    query = (
        select(School, distance)
        .where(School.status.in_(["open", "proposed_to_close"]), ST_DWithin(School.location, home, 5_000, False))
        .order_by(distance, School.id)
        .limit(21)
    )
    hits = []
    for school, metres in await session.execute(query):
        hit = SchoolHit.model_validate(school)
        hit.distance_km = metres / 1_000
        hits.append(hit)
    return Page(schools=hits[:20], next=str(hits[19].id) if len(hits) > 20 else None)
