//! The coordinate reference system that a file declares.
//!
//! Writers of GeoJSON put the longitude or easting first, whatever the order of the system's axes.

use serde_json::Value;

use crate::text::shortened;

/// The longest declaration that is read, in bytes.
const MAX_BYTES: usize = 10_000;

/// A coordinate reference system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Crs {
    /// Degrees of WGS84, or of ETRS89, which is used as WGS84.
    Degrees,
    /// Metres of the National Grid.
    NationalGrid,
    /// Another one, by name.
    Other(String),
}

impl Crs {
    /// Returns what the member `crs` declares, in any form that was ever in use, or `None` for `null`. GeoJSON had the
    /// member until 2016 (RFC 7946), and many programs still write it.
    pub(super) fn declared(json: &str) -> Option<Self> {
        let value = match serde_json::from_str(json) {
            Ok(Value::Null) => return None,
            Ok(value) if json.len() <= MAX_BYTES => value,
            _ => return Some(Self::Other("unreadable".to_owned())),
        };
        let within = |names: &[&str]| {
            let value = names.iter().try_fold(&value, |value, name| value.get(name));
            value.and_then(|value| value.as_str().map(str::to_owned).or_else(|| Some(value.as_i64()?.to_string())))
        };
        let forms: [&[&str]; 8] = [
            &[],
            &["properties", "name"],
            &["properties", "code"],
            &["properties", "href"],
            &["name"],
            // Esri's.
            &["latestWkid"],
            &["wkid"],
            &["properties", "wkid"],
        ];
        Some(forms.into_iter().find_map(within).map_or_else(|| Self::Other(shortened(json)), |name| Self::named(&name)))
    }

    fn named(name: &str) -> Self {
        let upper = name.to_uppercase();
        if upper.contains("CRS84") {
            return Self::Degrees;
        }
        // Codes have four digits or more, and versions of the list of codes fewer.
        let after = upper.find("EPSG").or_else(|| upper.bytes().all(|byte| byte.is_ascii_digit()).then_some(0));
        let mut numbers = after.map(|at| &upper[at..]).unwrap_or_default().split(|c: char| !c.is_ascii_digit());
        let code = numbers.find(|digits| digits.len() >= 4);
        let known = match code {
            Some("4326" | "4258" | "4937" | "4979") => return Self::Degrees,
            Some("27700" | "7405") => return Self::NationalGrid,
            Some("3857" | "3785" | "900913" | "102100" | "102113") => " (Web Mercator)",
            Some("29900" | "29901" | "29902" | "29903") => " (Irish Grid)",
            Some("2157") => " (Irish Transverse Mercator)",
            Some("4277") => " (OSGB36 in degrees, about 100 m off)",
            Some(_) => "",
            None if upper.contains("NATIONAL GRID") => return Self::NationalGrid,
            None if ["WGS84", "WGS 84", "ETRS89"].contains(&upper.trim()) => return Self::Degrees,
            None => "",
        };
        Self::Other(code.map_or_else(|| shortened(name), |code| format!("EPSG:{code}{known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_crs_is_read() {
        for (json, expected) in [
            ("null", None),
            (r#"{"type":"name","properties":{"name":"urn:ogc:def:crs:OGC:1.3:CRS84"}}"#, Some(Crs::Degrees)),
            (
                r#"{"type":"name","properties":{"name":"http://www.opengis.net/def/crs/OGC/1.3/CRS84"}}"#,
                Some(Crs::Degrees),
            ),
            (r#"{"type":"name","properties":{"name":"EPSG:4326"}}"#, Some(Crs::Degrees)),
            (r#"{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG:9.8.15:4258"}}"#, Some(Crs::Degrees)),
            (r#"{"type":"EPSG","properties":{"code":4326}}"#, Some(Crs::Degrees)),
            (r#"{"type":"name","properties":{"name":"WGS 84"}}"#, Some(Crs::Degrees)),
            (r#""EPSG:4326""#, Some(Crs::Degrees)),
            (r#"{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::27700"}}"#, Some(Crs::NationalGrid)),
            (r#"{"type":"EPSG","properties":{"code":"27700"}}"#, Some(Crs::NationalGrid)),
            (
                r#"{"type":"name","properties":{"name":"http://www.opengis.net/def/crs/EPSG/0/27700"}}"#,
                Some(Crs::NationalGrid),
            ),
            (
                r#"{"type":"name","properties":{"name":"http://www.opengis.net/gml/srs/epsg.xml#27700"}}"#,
                Some(Crs::NationalGrid),
            ),
            (r#"{"type":"name","properties":{"name":"OSGB36 / British National Grid"}}"#, Some(Crs::NationalGrid)),
            (
                r#"{"type":"link","properties":{"href":"http://maps.example/ref/epsg/27700/proj4/"}}"#,
                Some(Crs::NationalGrid),
            ),
            (r#"{"wkid":102100,"latestWkid":27700}"#, Some(Crs::NationalGrid)),
            ("27700", Some(Crs::NationalGrid)),
        ] {
            assert_eq!(Crs::declared(json), expected, "{json}");
        }
        for (json, name) in [
            (r#"{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::3857"}}"#, "EPSG:3857 (Web Mercator)"),
            (r#"{"type":"name","properties":{"name":"EPSG:29902"}}"#, "EPSG:29902 (Irish Grid)"),
            (r#"{"type":"name","properties":{"name":"EPSG:32630"}}"#, "EPSG:32630"),
            (r#"{"type":"name","properties":{"name":"WGS 84 / UTM zone 30N"}}"#, "WGS 84 / UTM zone 30N"),
            ("[7]", "[7]"),
            ("{", "unreadable"),
        ] {
            assert_eq!(Crs::declared(json), Some(Crs::Other(name.to_owned())), "{json}");
        }
    }
}
