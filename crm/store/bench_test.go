package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/lease"
	"systole/integration/sim/fabric"
)

// three is a cluster of three stores on this machine's disk, on real time, joined by
// a network in memory: what is measured is raft, the log's fsync and the CIB.
func three(b *testing.B, first *cib.CIB) *Store {
	b.Helper()
	net := fabric.New(1)
	stores := make([]*Store, 3)
	for i := range stores {
		name := string(rune('a' + i))
		f := net.Attach(name+":1", name)
		cfg := Config{Dir: b.TempDir(), Node: name, Fabric: f, Timing: lease.Default(), Clock: Boottime}
		if i == 0 {
			cfg.Bootstrap = first
		}
		s, err := Open(cfg)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		b.Cleanup(func() {
			cancel()
			<-ended
			f.Close()
		})
		stores[i] = s
		if i == 0 {
			active(b, s)
			continue
		}
		if err := stores[0].AddNonvoter(b.Context(), s.ID(), f.Addr()); err != nil {
			b.Fatal(err)
		}
		if err := stores[0].Promote(b.Context(), s.ID()); err != nil {
			b.Fatal(err)
		}
	}
	return stores[0]
}

// BenchmarkCommit commits status updates (the outcome of an operation) to a CIB of 100
// resources, from 1 and from 32 callers. Targets: 500 and 2000 commits/s.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := three(b, bigCIB(100))
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						start := time.Now()
						if _, err := s.Propose(context.Background(), outcome(int(i))); err != nil {
							b.Error(err)
							return
						}
						took[i-1] = time.Since(start)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			report(b, took)
		})
	}
}

// outcome is the result of a monitor of one of 100 resources.
func outcome(i int) command.Entry {
	return command.Entry{Kind: command.KindResult, Time: time.Now(), Origin: "a", Results: []command.Result{{
		Node: "a", Incarnation: "1", Call: i, Resource: fmt.Sprintf("r%d", i%100), Class: "ocf", Provider: "pacemaker", Type: "Dummy",
		Operation: "monitor", IntervalMS: 10000, RC: 0, Key: "1:1:0:0", LastChange: time.Now(),
	}}}
}

// BenchmarkRead is the linearizable read of the whole CIB under the lease.
func BenchmarkRead(b *testing.B) {
	s := three(b, bigCIB(100))
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range b.N {
		start := time.Now()
		if _, err := s.Read(context.Background()); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	b.StopTimer()
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[(len(took)-1)*99/100].Microseconds())/1000, "p99-ms")
}
