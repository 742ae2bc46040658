//! How counters are written down: OpenMetrics for who asks for it, else Prometheus's own older text, which every scraper and
//! `promtool` reads.

use http::HeaderMap;
use http::header::ACCEPT;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// `text/plain; version=0.0.4`.
    Classic,
    /// `application/openmetrics-text`.
    OpenMetrics,
}

impl Exposition {
    /// What is asked for.
    pub(crate) fn asked(headers: &HeaderMap) -> Self {
        let accepts: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let weight = |name: &str| {
            let ranges = accepts.iter().flat_map(|value| value.split(','));
            ranges.filter_map(|range| weight_of(range, name)).fold(0.0, f32::max)
        };
        let open = weight("application/openmetrics-text");
        match open > 0.0 && open >= weight("text/plain") {
            true => Self::OpenMetrics,
            false => Self::Classic,
        }
    }

    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// OpenMetrics text as this.
    pub(crate) fn of(self, open: String) -> String {
        match self {
            Self::OpenMetrics => open,
            Self::Classic => classic(&open),
        }
    }
}

/// How much a range of this name is wanted (RFC 9110 section 12.4.2); one without a weight, wholly.
fn weight_of(range: &str, name: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    parts.next().filter(|named| named.eq_ignore_ascii_case(name))?;
    let weight = parts.filter_map(|parameter| parameter.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case("q"));
    Some(weight.map_or(1.0, |(_, weight)| weight.parse().unwrap_or(0.0)))
}

/// The older text has no end mark and no units, and calls a counter by the name of its samples.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    // HELP comes before TYPE, and only TYPE says that it is a counter.
    let mut help: Option<(&str, &str)> = None;
    for line in open.lines() {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help = Some((name, words));
            continue;
        }
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let total = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let kind = if kind == "unknown" || kind == "info" { "gauge" } else { kind };
            if let Some((_, words)) = help.take().filter(|(of, _)| *of == name) {
                text.push_str(&format!("# HELP {name}{total} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{total} {kind}\n"));
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_who_asks_for_it() {
        let asked = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, http::HeaderValue::from_static(accept));
            Exposition::asked(&headers)
        };
        assert_eq!(Exposition::asked(&HeaderMap::new()), Exposition::Classic);
        assert_eq!(asked("*/*"), Exposition::Classic);
        assert_eq!(asked("application/openmetrics-text;q=0, text/plain"), Exposition::Classic);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(asked(prometheus), Exposition::OpenMetrics);
        assert_eq!(asked("text/plain;version=0.0.4, application/openmetrics-text;q=0.1"), Exposition::Classic);
        assert_eq!(asked("application/openmetrics-text; version=1.0.0; Q=0.000"), Exposition::Classic);
        let protobuf_first = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.6,\
            application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(asked(protobuf_first), Exposition::OpenMetrics);
    }

    #[test]
    fn the_older_text_calls_a_counter_by_the_name_of_its_samples() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{x=\"1\"} 3\n# HELP b_seconds Time.\n# TYPE b_seconds histogram\n\
                    # UNIT b_seconds seconds\nb_seconds_sum 1.0\n# HELP c What.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        let told = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"1\"} 3\n# HELP b_seconds Time.\n\
                    # TYPE b_seconds histogram\nb_seconds_sum 1.0\n# HELP c_info What.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n";
        assert_eq!(classic(open), told);
    }
}
