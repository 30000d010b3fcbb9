package node

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/resources"
)

// manual is what an agent's metadata says of changes to its parameters.
type manual struct {
	// reload is the action by which a change is taken up without a restart; "" without one.
	reload resources.Action
	// restart are the parameters whose change needs a restart all the same.
	restart []string
	// private are the parameters that reports hide.
	private []string
}

// secretNames are private in an agent whose metadata declares nothing private.
var secretNames = []string{"password", "passwd", "user"}

// newManual reads the rules of Pacemaker Explained, "Reloading an agent after a definition change":
// an agent of OCF 1.1 with reload-agent says which parameters are reloadable; an older one
// with reload may take up every change of one that is not unique.
func newManual(m *resources.Metadata) manual {
	modern := slices.Compare(strings.Split(m.API, "."), []string{"1", "1"}) >= 0
	var out manual
	switch {
	case modern && m.Offers(string(resources.ActionReloadAgent)):
		out.reload = resources.ActionReloadAgent
	case !modern && m.Offers(string(resources.ActionReload)):
		out.reload = resources.ActionReload
	}
	declared := slices.ContainsFunc(m.Parameters, func(p resources.Parameter) bool { return p.Private })
	for _, p := range m.Parameters {
		if modern && !p.Reloadable || !modern && p.Unique {
			out.restart = append(out.restart, p.Name)
		}
		if p.Private || !declared && slices.Contains(secretNames, p.Name) {
			out.private = append(out.private, p.Name)
		}
	}
	return out
}

// manuals keeps what was read, for each agent once in a run of the daemon. Agents are asked
// beside the first operation they are ordered to do, so that results need not wait for it.
type manuals struct {
	mu    sync.Mutex // guards known
	known map[resources.AgentID]*reading
	asked *queue[*reading]
}

// reading is one agent's; nothing of it changes once done is closed.
type reading struct {
	agent  resources.AgentID
	manual manual
	failed bool // it could not be read
	done   chan struct{}
}

func newManuals() *manuals {
	return &manuals{known: map[resources.AgentID]*reading{}, asked: newQueue[*reading]()}
}

// ask has the agent's metadata read, unless it was, or is being read. With again, an
// agent that could not tell is asked once more.
func (m *manuals) ask(id resources.AgentID, again bool) *reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.known[id]
	if r == nil || again && r.hasFailed() {
		r = &reading{agent: id, done: make(chan struct{})}
		m.known[id] = r
		m.asked.post(r)
	}
	return r
}

func (r *reading) hasFailed() bool {
	select {
	case <-r.done:
		return r.failed
	default:
		return false
	}
}

// of is an agent's manual. One that cannot be read, or not before ctx is done, says
// nothing: then every change is a restart.
func (m *manuals) of(ctx context.Context, id resources.AgentID) manual {
	r := m.ask(id, false)
	select {
	case <-r.done:
		return r.manual
	case <-ctx.Done():
		return manual{}
	}
}

// metadataTimeout bounds one question for metadata; scripts answer within a fraction of it.
const metadataTimeout = 5 * time.Second

// readManuals asks the agents, each in a goroutine of its own: one that hangs holds up no other.
func (n *Node) readManuals(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		batch, ok := n.manuals.asked.next(ctx)
		if !ok {
			return
		}
		for _, r := range batch {
			wait.Go(func() { n.readManual(ctx, r) })
		}
	}
}

func (n *Node) readManual(ctx context.Context, r *reading) {
	defer close(r.done)
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	m, err := n.metadata(ctx, r.agent)
	if err != nil {
		n.log.Debug("agent metadata not read: its parameters cannot be reloaded", "agent", r.agent.String(), "err", err)
		r.failed = true
		return
	}
	r.manual = newManual(m)
}

func (n *Node) metadata(ctx context.Context, id resources.AgentID) (*resources.Metadata, error) {
	a, err := n.cfg.Lookup(id)
	if err != nil {
		return nil, err
	}
	doc, err := a.MetaData(ctx)
	if err != nil {
		return nil, err
	}
	return resources.ParseMetadata(doc)
}

// digests are the attributes of an lrm_rsc_op by which the scheduler finds out what a change of
// parameters calls for: op-digest of all; where the agent can reload, the list of those that
// need a restart and their digest; where some are private, their list and the digest of the others.
func digests(op resources.Op, m manual) map[string]string {
	out := map[string]string{"op-digest": digest(op)}
	if m.reload != "" && op.Interval == 0 {
		out["op-force-restart"] = list(m.restart)
		out["op-restart-digest"] = digest(only(op, func(name string) bool { return slices.Contains(m.restart, name) }))
	}
	if len(m.private) > 0 {
		out["op-secure-params"] = list(m.private)
		out["op-secure-digest"] = digest(only(op, func(name string) bool { return !slices.Contains(m.private, name) }))
	}
	return out
}

// list is names as the field writes them: a space before and after each.
func list(names []string) string {
	return " " + strings.Join(append(slices.Clone(names), ""), " ")
}

// only is the operation with those of its parameters.
func only(op resources.Op, keep func(name string) bool) resources.Op {
	op.Params = maps.Clone(op.Params)
	maps.DeleteFunc(op.Params, func(name, _ string) bool { return !keep(name) })
	return op
}
