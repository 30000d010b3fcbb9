package transition

import (
	"encoding/json"
	"io"
)

// The JSON form is stable API: fields are added, never renamed. Times are milliseconds.
type (
	jsonGraph struct {
		Transition     int          `json:"transition"`
		ClusterDelay   string       `json:"cluster_delay,omitempty"`
		FencingTimeout string       `json:"fencing_timeout,omitempty"`
		BatchLimit     int          `json:"batch_limit,omitempty"`
		RecheckBy      int64        `json:"recheck_by,omitempty"`
		Actions        []jsonAction `json:"actions"`
	}
	jsonAction struct {
		ID             ActionID          `json:"id"`
		Kind           string            `json:"kind"`
		Task           string            `json:"task"`
		Key            string            `json:"key"`
		Node           string            `json:"node,omitempty"`
		Router         string            `json:"router,omitempty"`
		Resource       string            `json:"resource,omitempty"`
		Agent          string            `json:"agent,omitempty"`
		IntervalMillis int64             `json:"interval_ms,omitempty"`
		TimeoutMillis  int64             `json:"timeout_ms,omitempty"`
		Priority       int               `json:"priority,omitempty"`
		After          []ActionID        `json:"after,omitempty"`
		Attributes     map[string]string `json:"attributes,omitempty"`
		Downed         []string          `json:"downed,omitempty"`
	}
)

// WriteJSON writes the graph as one JSON document, actions in synapse order.
func WriteJSON(w io.Writer, g *Graph) error {
	doc := jsonGraph{
		Transition:     g.TransitionID,
		ClusterDelay:   g.ClusterDelay,
		FencingTimeout: g.FencingTimeout,
		BatchLimit:     g.BatchLimit,
		RecheckBy:      g.RecheckBy,
		Actions:        make([]jsonAction, 0, len(g.Synapses)),
	}
	for i := range g.Synapses {
		s := &g.Synapses[i]
		a := s.Action
		out := jsonAction{
			ID: a.ID, Kind: a.Kind.String(), Task: a.Task, Key: a.UniqueKey(),
			Node: a.Node, Router: a.Router,
			IntervalMillis: a.Interval().Milliseconds(), TimeoutMillis: a.Timeout().Milliseconds(),
			Priority: s.Priority, After: s.Inputs, Downed: a.Downed,
		}
		if r := a.Resource; r != nil {
			out.Resource, out.Agent = r.Name(), r.Agent()
		}
		if len(a.Attributes) > 0 {
			out.Attributes = make(map[string]string, len(a.Attributes))
			for _, at := range a.Attributes {
				out.Attributes[at.Name] = at.Value
			}
		}
		doc.Actions = append(doc.Actions, out)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
