package main

import (
	"bytes"
	"testing"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/status"
)

// What is measured has to be what it says: a valid configuration, everything placed, nothing to do when steady, and
// work when a node is lost.
func TestClustersAreWhatTheySay(t *testing.T) {
	for _, s := range []Shape{
		{Nodes: 4, Resources: 47, State: Fresh}, {Nodes: 4, Resources: 47, State: Steady}, {Nodes: 4, Resources: 47, State: NodeLost},
		{Nodes: 4, Resources: 47, State: Fresh, Utilization: true},
	} {
		doc := Generate(s)
		if !bytes.Equal(doc, Generate(s)) {
			t.Errorf("%s: two documents of one shape differ", s)
		}
		root, err := cib.Parse(doc)
		if err != nil {
			t.Fatal(err)
		}
		if problems := cib.Errors(cib.Validate(root)); len(problems) > 0 {
			t.Errorf("%s: %v", s, problems)
		}
		r := scheduler.Schedule(root, now, scheduler.Options{})
		for i := range r.Status.Resources {
			rsc := &r.Status.Resources[i]
			if rsc.Kind == model.Primitive && r.Status.Resources[r.Status.Top(rsc.Index)].Kind != model.Clone && r.Placement.Node[i] == status.NoNode {
				t.Errorf("%s: %s has no node", s, rsc.ID)
			}
		}
		if n := len(r.Plan.Changes); (s.State == Steady) != (n == 0) {
			t.Errorf("%s: %d changes, the first %+v", s, n, r.Plan.Changes[:min(1, n)])
		}
	}
}

func BenchmarkSchedule(b *testing.B) {
	for _, s := range []Shape{
		{Nodes: 16, Resources: 500, State: Steady}, {Nodes: 16, Resources: 500, State: Fresh},
		{Nodes: 16, Resources: 500, State: Fresh, Utilization: true}, {Nodes: 32, Resources: 1000, State: NodeLost},
	} {
		root, err := cib.Parse(Generate(s))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(s.String(), func(b *testing.B) {
			for b.Loop() {
				scheduler.Schedule(root, now, scheduler.Options{})
			}
		})
	}
}
