"""A hook for Schemathesis: makes the parameters of a search fit each other, which OpenAPI cannot say.

With it every request that is made from the description has to be answered, and not refused.
"""

import schemathesis

# What needs another parameter beside it.
NEEDS = {
    "lat": "lng",
    "lng": "lat",
    "within": "lat",
    "reached": "lat",
    "years": "lat",
    "intake": "lat",
    "club-on": "has-club",
    "club-until": "has-club",
    "phase-by-ages": "phase",
}


def looks_swapped(query):
    """Whether a point is far from the United Kingdom, and would be in it the other way round: that is refused."""

    def in_uk(lat, lng):
        return 49 <= lat <= 61.5 and -9 <= lng <= 2.5

    try:
        lat, lng = float(query["lat"]), float(query["lng"])
    except (KeyError, TypeError, ValueError):
        return False
    return in_uk(lng, lat) and not in_uk(lat, lng)


@schemathesis.hook
def map_query(context, query):
    if not query:
        return query
    # A cursor is only ever handed out.
    query.pop("after", None)
    for name, other in NEEDS.items():
        if other not in query:
            query.pop(name, None)
    if looks_swapped(query):
        query["lat"], query["lng"] = query["lng"], query["lat"]
    if query.get("state") and query.get("private"):
        del query["private"]
    if "sort" in query and "lat" not in query:
        query["sort"] = "name"
    if query.get("sort") == "match" and "name" not in query:
        query["sort"] = "name"
    if query.get("sort") == "margin":
        query["reached"] = "true"
        # Catchments have none.
        if context.operation.path == "/api/catchment":
            query["sort"] = "distance"
    if "name" in query:
        # Something to look for, among the signs that are not looked at.
        query["name"] = f"a{query['name']}"[:200]
    if len(query.get("has-club", [])) > 10:
        query["has-club"] = query["has-club"][:10]
    return query
