package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// family is one metric name with its labels.
type family struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels int
}

// families are all that were made, for Describe.
var families []*family

func newFamily(kind prometheus.ValueType, name, help string, labels ...string) *family {
	f := &family{prometheus.NewDesc(name, help, labels, nil), kind, len(labels)}
	families = append(families, f)
	return f
}

func gauge(name, help string, labels ...string) *family {
	return newFamily(prometheus.GaugeValue, name, help, labels...)
}

func counter(name, help string, labels ...string) *family {
	return newFamily(prometheus.CounterValue, name, help, labels...)
}

// series collects values. Of two with one name and the same labels the first
// stays: a second would make the whole scrape fail.
type series struct {
	list []prometheus.Metric
	seen map[string]bool
}

func (s *series) add(f *family, value float64, labels ...string) {
	// Values come from a CIB, which is UTF-8; Prometheus refuses anything else.
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "?")
	}
	key := f.desc.String() + "\x00" + strings.Join(labels, "\x00")
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	s.list = append(s.list, prometheus.MustNewConstMetric(f.desc, f.kind, value, labels...))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
