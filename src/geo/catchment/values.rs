//! Outlines as values of a database.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};

use super::Catchment;

/// A stored outline, to compare with a new one. It may be invalid, since other programs can write it.
#[derive(Debug, FromSqlRow)]
pub(crate) struct StoredOutline(Option<Catchment>);

impl StoredOutline {
    /// Returns whether the stored outline equals the given one. An invalid one equals neither an outline nor `None`.
    pub(crate) fn is(stored: Option<&Self>, given: Option<&Catchment>) -> bool {
        match (stored, given) {
            (Some(Self(stored)), Some(given)) => stored.as_ref() == Some(given),
            (stored, given) => stored.is_none() && given.is_none(),
        }
    }
}

impl<ST, DB: Backend> FromSql<ST, DB> for StoredOutline
where
    Catchment: FromSql<ST, DB>,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Catchment::from_sql(value).ok()))
    }
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use diesel::deserialize::{self, FromSql};
    use diesel::serialize::{self, IsNull, Output, ToSql};
    use diesel::sql_types::Text;
    use diesel::sqlite::Sqlite;

    use crate::geo::catchment::Catchment;
    use crate::geo::catchment::text::wkt_rings;

    impl ToSql<Text, Sqlite> for Catchment {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
            out.set_value(self.to_string());
            Ok(IsNull::No)
        }
    }

    impl FromSql<Text, Sqlite> for Catchment {
        fn from_sql(value: <Sqlite as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
            let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
            Ok(Self::from_stored(wkt_rings(&text)?)?)
        }
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use diesel::deserialize::{self, FromSql};
    use diesel::pg::Pg;
    use diesel::serialize::{self, Output, ToSql};
    use geo_types::{Coord, LineString};
    use postgis_diesel::sql_types::Geometry;
    use postgis_diesel::types::{MultiPolygon, Point, Polygon};

    use crate::geo::WGS84;
    use crate::geo::catchment::Catchment;

    impl ToSql<Geometry, Pg> for Catchment {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            let point = |corner: &Coord<f64>| Point { x: corner.x, y: corner.y, srid: WGS84 };
            let ring = |ring: &LineString<f64>| ring.coords().map(point).collect();
            let polygons = self.0.iter().map(|polygon| Polygon {
                rings: std::iter::once(polygon.exterior()).chain(polygon.interiors()).map(ring).collect(),
                srid: WGS84,
            });
            let outline = MultiPolygon { polygons: polygons.collect(), srid: WGS84 };
            ToSql::<Geometry, Pg>::to_sql(&outline, &mut out.reborrow())
        }
    }

    impl FromSql<Geometry, Pg> for Catchment {
        fn from_sql(value: <Pg as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
            let outline = <MultiPolygon<Point> as FromSql<Geometry, Pg>>::from_sql(value)?;
            let ring = |ring: Vec<Point>| ring.into_iter().map(|point| Coord { x: point.x, y: point.y }).collect();
            let rings = outline.polygons.into_iter().map(|polygon| polygon.rings.into_iter().map(ring).collect());
            Ok(Self::from_stored(rings.collect())?)
        }
    }
}
