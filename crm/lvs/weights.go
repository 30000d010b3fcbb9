// Package lvs is what the CRM knows of LVS: how much of the load each node is to
// take, by what people say and by what the cluster is doing to it. The package
// ipvsadm beside it is the program of that name, doctor finds what breaks a site.
package lvs

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/table"
	"systole/agents/realserver"
	"systole/crm/cib"
	"systole/crm/status"
	"systole/resources"
)

// Node attributes by which people say what a node takes. They are permanent
// unless set until the next reboot; drain stands above weight.
const (
	AttrDrain  = "lvs-drain"  // true: no new connections
	AttrWeight = "lvs-weight" // a number, instead of the configured one
)

// Weight is what one node is to take.
type Weight struct {
	Node  string `json:"node"`
	Drain bool   `json:"drain"`
	// Set says that Number stands instead of the configured weight.
	Set    bool   `json:"set"`
	Number int    `json:"number,omitempty"`
	Why    string `json:"why,omitempty"`
}

// String is the weight as the feed has it: drain, a number, or - for the configured one.
func (w Weight) String() string {
	switch {
	case w.Drain:
		return "drain"
	case w.Set:
		return strconv.Itoa(w.Number)
	}
	return "-"
}

// Weights are those of all nodes, sorted by name. A node is drained when a
// person says so, when it is in standby or maintenance or shuts down, when one of
// its real servers is stopping, and when none of them runs: a real server that
// is not started has no virtual address, however healthy its web server is.
func Weights(root *cib.Element, now time.Time) []Weight {
	s := status.Unpack(root, now)
	var ws []Weight
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Kind != status.Guest {
			ws = append(ws, weigh(s, n))
		}
	}
	slices.SortFunc(ws, func(a, b Weight) int { return strings.Compare(a.Node, b.Node) })
	return ws
}

func weigh(s *status.Status, n *status.Node) Weight {
	w := Weight{Node: n.Name, Why: drained(s, n)}
	if w.Drain = w.Why != ""; w.Drain {
		return w
	}
	if text := n.Attributes[AttrWeight]; text != "" {
		number, err := strconv.Atoi(text)
		if err != nil || number < 0 || number > table.MaxWeight {
			w.Why = fmt.Sprintf("%s=%s is not a number from 0 to %d and does not count", AttrWeight, text, table.MaxWeight)
			return w
		}
		w.Set, w.Number, w.Why = true, number, AttrWeight+" is set"
	}
	return w
}

// drained says why a node gets no new connections, "" when it does.
func drained(s *status.Status, n *status.Node) string {
	switch {
	case isTrue(n.Attributes[AttrDrain]):
		return AttrDrain + " is set"
	case n.Standby:
		return "standby"
	case n.Maintenance:
		return "maintenance"
	case n.Shutdown:
		return "it shuts down"
	}
	known, active := "", false
	for i := range s.Resources {
		r := &s.Resources[i]
		if !isRealServer(r) || r.Orphan {
			continue
		}
		if slices.Contains(r.Active, n.Index) {
			active = true
			if isTrue(n.Attributes[realserver.DrainAttribute+r.BaseID]) {
				return r.BaseID + " is stopping"
			}
		} else if recorded(n, r) {
			known = r.BaseID
		}
	}
	if known != "" && !active {
		return known + " does not run"
	}
	return ""
}

func isTrue(text string) bool {
	b, err := resources.ParseBool(text)
	return err == nil && b
}

func isRealServer(r *status.Resource) bool {
	id := r.Config
	return id != nil && id.Provider == "systole" && id.Type == "realserver"
}

// recorded tells whether the node's history names the resource: it was looked for there.
func recorded(n *status.Node, r *status.Resource) bool {
	if n.State == nil {
		return false
	}
	for rsc := range n.State.Path("lrm", "lrm_resources").Each("lrm_resource") {
		id, _, _ := strings.Cut(rsc.ID(), ":")
		if id == r.BaseID {
			return true
		}
	}
	return false
}

// WriteTable prints a complete table of the feed: lines NODE WEIGHT, then an
// empty one.
func WriteTable(w io.Writer, ws []Weight) error {
	out := bufio.NewWriter(w)
	for _, x := range ws {
		fmt.Fprintf(out, "%s %s\n", x.Node, x)
	}
	fmt.Fprintln(out)
	return out.Flush()
}
