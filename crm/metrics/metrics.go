// Package metrics shows a node to Prometheus: the series of ha_cluster_exporter,
// by its names and labels, so that ready-made dashboards work, and Systole's own.
//
// Everything is computed from one [Source] at each scrape; the package keeps no
// state and starts nothing. Labels are bounded by the configuration: nodes,
// resources, constraints, node attributes.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"systole/crm/cib"
	"systole/crm/status"
)

// Source is what a node knows at one moment. Zero values are shown as zero.
type Source struct {
	Now time.Time
	// CIB is the node's own copy; it need not be the newest.
	CIB *cib.CIB
	// Node is this node, DC the present one or "".
	Node, DC, Cluster, Version string
	// Quorum says that a majority of the voters follows a DC.
	Quorum  bool
	Servers []Server

	// Lease is how long this node may still run resources.
	Lease time.Duration
	Term  uint64
	// Commit and Applied are indexes of the log.
	Commit, Applied uint64
	// FsyncP99 is of the last writes of the log, Stalled the age of the write in flight.
	FsyncP99, Stalled time.Duration
	Datagrams         Datagrams
	FailedHandshakes  uint64
	// CertificateEnds is when the certificates of this node and of the peers it has spoken to run out.
	CertificateEnds map[string]time.Time
	// BeatAge is how long ago the DC heard each node; only on the DC.
	BeatAge map[string]time.Duration
}

// Server is one raft server.
type Server struct {
	Node, Addr string
	Voter      bool
	Online     bool
}

// Datagrams are counts since the daemon's start.
type Datagrams struct{ Sent, Received, Dropped, Refused uint64 }

// Handler answers /metrics from the source, with the Go runtime's and the
// process's own series beside it.
func Handler(source func() Source) http.Handler {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(
		collector{source},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector is a prometheus.Collector over a source.
type collector struct{ source func() Source }

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range families {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, m := range gather(c.source()) {
		ch <- m
	}
}

// gather computes all series of a source.
func gather(s Source) []prometheus.Metric {
	out := &series{seen: map[string]bool{}}
	began := time.Now()
	own(out, s)
	corosync(out, s)
	if s.CIB != nil {
		pacemaker(out, status.Unpack(s.CIB.Root(), s.Now), s.DC)
	}
	scraped(out, time.Since(began))
	return out.list
}
