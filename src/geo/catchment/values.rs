//! Outlines as values of a database.

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

    use crate::geo::catchment::Catchment;
    use crate::postgres::functions::WGS84;

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
