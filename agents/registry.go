// Package agents is the registry of resource agents: it finds the one that
// belongs to an id, lists what is installed, knows which native agent stands in
// for a foreign one, and runs native agents as stand-alone OCF scripts.
package agents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/agents/fence"
	"systole/agents/lsb"
	"systole/agents/ocf"
	"systole/agents/systemd"
	"systole/resources"
)

// NativeProvider is the provider of the agents built into this program.
const NativeProvider = "systole"

// Config is what agents need of the node.
type Config struct {
	// OCF, LSB, Systemd and Fence say where foreign agents are and what they may call.
	OCF     ocf.Config
	LSB     lsb.Config
	Systemd systemd.Config
	Fence   fence.Config
	// Lease is asked before every announcement of an address; nil means always.
	Lease resources.Lease
	// Guard silences addresses when the lease ends; nil means there is none.
	Guard resources.AddressGuard
	// Attribute sets a transient attribute of this node, or removes it when value is "";
	// with a delay it does so later, unless it is set to something else before. Nil means that
	// crm_attribute is run for it, as a script would: on a busy machine a process costs a
	// promotion a good part of a second.
	Attribute func(ctx context.Context, name, value string, delay time.Duration) error
	// Log; nil discards.
	Log *slog.Logger

	alone bool // this process ends with the operation (see Main)
}

// Registry finds agents. It is safe for concurrent use; programs installed
// later are found without a new one.
type Registry struct {
	cfg     Config
	natives map[string]resources.Agent // by type

	mu     sync.Mutex // guards fences: a leaf cache, since each agent caches its metadata
	fences map[string]*fence.Agent
}

// New makes the registry; it opens nothing.
func New(cfg Config) *Registry {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Registry{cfg: cfg, natives: natives(cfg), fences: map[string]*fence.Agent{}}
}

// Close ends what agents do in the background. It stops no resource.
func (r *Registry) Close() {
	for _, a := range r.natives {
		if c, ok := a.(interface{ Close() }); ok {
			c.Close()
		}
	}
}

// Lookup returns the agent for an id. An ocf:heartbeat or ocf:pacemaker id
// whose script is not installed but which has a native twin gets the twin; its
// metadata and results say so.
func (r *Registry) Lookup(id resources.AgentID) (resources.Agent, error) {
	switch id.Class {
	case resources.ClassOCF:
		return r.lookupOCF(id)
	case resources.ClassSystemd:
		return r.cfg.Systemd.New(id.Type)
	case resources.ClassLSB:
		return r.cfg.LSB.Find(id.Type)
	case resources.ClassService:
		return r.lookupService(id.Type)
	case resources.ClassStonith:
		return r.lookupFence(id.Type)
	default:
		return nil, fmt.Errorf("agent %s: class %q is not known: use one of %s", id, id.Class, strings.Join(r.Classes(), ", "))
	}
}

// askSystemd bounds the question whether a unit exists.
const askSystemd = 5 * time.Second

// lookupService finds what a name means on this node: a unit, else an init script.
func (r *Registry) lookupService(name string) (resources.Agent, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askSystemd)
	defer cancel()
	unit, err := r.cfg.Systemd.New(name)
	if err == nil {
		if there, err := unit.Installed(ctx); err == nil && there {
			return unit, nil
		}
	}
	script, err := r.cfg.LSB.Find(name)
	if err != nil {
		return nil, fmt.Errorf("service %s is not installed: no systemd unit, and %w", name, err)
	}
	return script, nil
}

func (r *Registry) lookupFence(typ string) (*fence.Agent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.fences[typ]; a != nil {
		return a, nil
	}
	a, err := r.cfg.Fence.Find(typ)
	if err == nil {
		r.fences[typ] = a
	}
	return a, err
}

// Fence uses a fence device once. An agent that is not here is
// StatusNotInstalled: another node may have it.
func (r *Registry) Fence(ctx context.Context, typ string, c fence.Call) resources.Result {
	a, err := r.lookupFence(typ)
	if err != nil {
		return resources.Result{Status: resources.StatusNotInstalled, Code: resources.ErrInstalled, Reason: err.Error()}
	}
	return a.Use(ctx, c)
}

func (r *Registry) lookupOCF(id resources.AgentID) (resources.Agent, error) {
	if id.Provider == NativeProvider {
		if a, ok := r.natives[id.Type]; ok {
			return a, nil
		}
		return nil, fmt.Errorf("agent %s is not one of the native agents", id)
	}
	script, err := r.cfg.OCF.Find(id)
	if err == nil {
		return script, nil
	}
	if twin, ok := r.Twin(id); ok {
		return &standIn{Agent: r.natives[twin.Type], id: twin, asked: id}, nil
	}
	return nil, err
}

// Twin is the native agent that takes the same parameters as a foreign one.
func (r *Registry) Twin(id resources.AgentID) (resources.AgentID, bool) {
	twin := resources.AgentID{Class: resources.ClassOCF, Provider: NativeProvider, Type: id.Type}
	_, ok := r.natives[id.Type]
	return twin, ok && id.Class == resources.ClassOCF && (id.Provider == "heartbeat" || id.Provider == "pacemaker")
}

// Runs is the agent that answers for an id: the native twin where the script is not installed,
// else the one asked for.
func (r *Registry) Runs(id resources.AgentID) resources.AgentID {
	twin, ok := r.Twin(id)
	if !ok {
		return id
	}
	if _, err := r.cfg.OCF.Find(id); err == nil {
		return id
	}
	return twin
}

// Classes are the classes agents can be of, sorted.
func (r *Registry) Classes() []string {
	return []string{string(resources.ClassLSB), string(resources.ClassOCF), string(resources.ClassService), string(resources.ClassStonith), string(resources.ClassSystemd)}
}

// Providers are the providers that have the type, or all when typ is "", sorted.
func (r *Registry) Providers(typ string) []string {
	var ps []string
	for _, p := range append(r.cfg.OCF.Providers(), NativeProvider) {
		if !slices.Contains(ps, p) && (typ == "" || slices.Contains(r.types(p), typ)) {
			ps = append(ps, p)
		}
	}
	slices.Sort(ps)
	return ps
}

// types are a provider's types.
func (r *Registry) types(provider string) []string {
	if provider == NativeProvider {
		return Native()
	}
	return r.cfg.OCF.Types(provider)
}

// List is the agents of a class, sorted; of one provider if that is not "".
func (r *Registry) List(class, provider string) ([]string, error) {
	var names []string
	switch resources.Class(class) {
	case resources.ClassOCF:
		ps := []string{provider}
		if provider == "" {
			ps = r.Providers("")
		}
		for _, p := range ps {
			names = append(names, r.types(p)...)
		}
	case resources.ClassLSB:
		names = r.cfg.LSB.Types()
	case resources.ClassStonith:
		names = r.cfg.Fence.Types()
	case resources.ClassSystemd, resources.ClassService:
		ctx, cancel := context.WithTimeout(context.Background(), askSystemd)
		defer cancel()
		units, err := r.cfg.Systemd.Types(ctx)
		if err != nil && !errors.Is(err, systemd.ErrNoSystemd) {
			return nil, err
		}
		names = units
		if class == string(resources.ClassService) {
			names = append(names, r.cfg.LSB.Types()...)
		}
	default:
		return nil, fmt.Errorf("class %q is not known: use one of %s", class, strings.Join(r.Classes(), ", "))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// MetaData is an agent's metadata document.
func (r *Registry) MetaData(ctx context.Context, id resources.AgentID) ([]byte, error) {
	a, err := r.Lookup(id)
	if err != nil {
		return nil, err
	}
	return a.MetaData(ctx)
}

// standIn is a native agent running in the place of a script.
type standIn struct {
	resources.Agent
	id, asked resources.AgentID
}

func (s *standIn) note() string {
	return fmt.Sprintf("%s is not installed on this node; %s stands in for it.", s.asked, s.id)
}

// MetaData is the native agent's, with the note.
func (s *standIn) MetaData(ctx context.Context) ([]byte, error) {
	doc, err := s.Agent.MetaData(ctx)
	if err != nil {
		return nil, err
	}
	m, err := resources.ParseMetadata(doc)
	if err != nil {
		return nil, err
	}
	m.Long = s.note() + " " + m.Long
	return m.XML(), nil
}

// Execute runs the native agent and says so.
func (s *standIn) Execute(ctx context.Context, op resources.Op) resources.Result {
	op.Agent = s.id
	res := s.Agent.Execute(ctx, op)
	res.Output = s.note() + "\n" + res.Output
	return res
}

// Watch watches as the native agent does, if it does.
func (s *standIn) Watch(ctx context.Context, op resources.Op) bool {
	if w, ok := s.Agent.(resources.Watcher); ok {
		return w.Watch(ctx, op)
	}
	<-ctx.Done()
	return false
}
