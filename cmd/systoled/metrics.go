package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"systole/crm/metrics"
)

// source is what /metrics shows, gathered at each scrape.
func (d *daemon) source() metrics.Source {
	st, dc, wire := d.node.Store().Stats(), d.node.Store().DC(), d.fabric.Stats()
	s := metrics.Source{
		Now: time.Now(), CIB: d.node.CIB(),
		Node: d.id.Node, DC: dc.Leader, Cluster: d.id.Cluster, Version: programVersion(),
		Quorum: dc.Active || d.node.Remaining() > 0,
		Lease:  d.node.Remaining(), Term: st.Term, Commit: st.Commit, Applied: st.Applied,
		FsyncP99: st.FsyncP99, Stalled: st.Stalled,
		Datagrams:        metrics.Datagrams{Sent: wire.Sent, Received: wire.Received, Dropped: wire.Dropped, Refused: wire.Refused},
		FailedHandshakes: wire.FailedHandshakes,
		CertificateEnds:  map[string]time.Time{d.id.Node: d.dir.Certificate().NotAfter},
	}
	online := map[string]bool{}
	for e := range s.CIB.Status().Each("node_state") {
		online[e.Get("uname")] = e.Get("crmd") == "online"
	}
	for _, v := range d.node.Store().Servers() {
		s.Servers = append(s.Servers, metrics.Server{Node: v.Node, Addr: v.Addr, Voter: v.Voter, Online: online[v.Node]})
		if ends, ok := d.fabric.CertificateEnds(v.Node); ok {
			s.CertificateEnds[v.Node] = ends
		}
	}
	return s
}

// serveMetrics answers Prometheus over plain HTTP until ctx is done.
func (d *daemon) serveMetrics(ctx context.Context) error {
	l, err := net.Listen("tcp", d.conf.Metrics.String())
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(d.source))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
