"""What a dashboard may say, as Grafana documents its JSON model (schema 39): no field beside these, none of another type.

Grafana passes over what it does not know without a word, so a misspelt field would be a panel without its effect.
"""

TEXT, NUMBER, TRUTH, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "boolean"}, {"type": "integer"}


def listed(items):
    return {"type": "array", "items": items}


def one_of(*values):
    return {"enum": list(values)}


def exactly(optional=(), **fields):
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": fields,
        "required": [each for each in fields if each not in optional],
    }


SOURCE = exactly(type=TEXT, uid=TEXT)
STEPS = listed(exactly(color=TEXT, value={"type": ["number", "null"]}))
THRESHOLDS = exactly(mode=one_of("absolute", "percentage"), steps=STEPS)
UNITS = one_of("short", "ops", "s", "bytes", "percentunit")
DEFAULTS = exactly(
    optional=("thresholds", "custom"),
    unit=UNITS,
    min=NUMBER,
    thresholds=THRESHOLDS,
    custom=exactly(thresholdsStyle=exactly(mode=one_of("off", "line", "area", "line+area"))),
)
TARGET = exactly(refId=TEXT, datasource=SOURCE, expr=TEXT, legendFormat=TEXT, exemplar=TRUTH)
GRAPH_OPTIONS = exactly(
    legend=exactly(
        displayMode=one_of("list", "table"), placement=one_of("bottom", "right"), showLegend=TRUTH, calcs=listed(TEXT)
    ),
    tooltip=exactly(mode=one_of("single", "multi", "none"), sort=one_of("asc", "desc", "none")),
)
NUMBER_OPTIONS = exactly(
    colorMode=one_of("value", "background", "none"),
    graphMode=one_of("none", "area"),
    reduceOptions=exactly(calcs=listed(one_of("lastNotNull", "max", "mean"))),
)


def panel(kind, options):
    return exactly(
        type={"const": kind},
        id=WHOLE,
        title=TEXT,
        description=TEXT,
        datasource=SOURCE,
        gridPos=exactly(h=WHOLE, w=WHOLE, x=WHOLE, y=WHOLE),
        fieldConfig=exactly(defaults=DEFAULTS, overrides=listed({"type": "object"})),
        targets=listed(TARGET) | {"minItems": 1},
        options=options,
    )


VARIABLE = exactly(
    optional=("datasource", "refresh", "sort", "multi", "includeAll", "allValue", "current"),
    name=TEXT,
    type=one_of("datasource", "query"),
    label=TEXT,
    query=TEXT,
    datasource=SOURCE,
    refresh=one_of(0, 1, 2),
    sort=one_of(*range(9)),
    multi=TRUTH,
    includeAll=TRUTH,
    allValue=TEXT,
    current=exactly(text=listed(TEXT), value=listed(TEXT)),
)
LINK = exactly(
    type=one_of("dashboards", "link"),
    title=TEXT,
    tags=listed(TEXT),
    asDropdown=TRUTH,
    keepTime=TRUTH,
    includeVars=TRUTH,
    icon=TEXT,
    targetBlank=TRUTH,
    tooltip=TEXT,
    url=TEXT,
)
ANNOTATION = exactly(
    name=TEXT, datasource=SOURCE, enable=TRUTH, hide=TRUTH, iconColor=TEXT, expr=TEXT, titleFormat=TEXT
)
DASHBOARD = exactly(
    uid={"type": "string", "minLength": 8, "maxLength": 40},
    title=TEXT,
    description=TEXT,
    tags=listed(TEXT),
    timezone=one_of("browser", "utc"),
    schemaVersion={"const": 39},
    refresh=TEXT,
    graphTooltip=one_of(0, 1, 2),
    time=exactly(**{"from": TEXT, "to": TEXT}),
    annotations=exactly(list=listed(ANNOTATION)),
    links=listed(LINK),
    templating=exactly(list=listed(VARIABLE)),
    panels=listed({"anyOf": [panel("timeseries", GRAPH_OPTIONS), panel("stat", NUMBER_OPTIONS)]}),
)
