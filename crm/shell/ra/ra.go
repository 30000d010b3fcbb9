// Package ra tells the tools about resource agents: which there are on this
// machine and what their metadata says. A tool and the daemon it talks to are on
// one machine, so what is installed for the one is installed for the other.
package ra

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"systole/agents"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/source"
	"systole/resources"
)

// metadataTimeout bounds one agent's meta-data action; agents answer in
// milliseconds, and OCF advises 5 s.
const metadataTimeout = 10 * time.Second

// Agents knows resource agents. It caches metadata for its life, which is that
// of one command or shell session. Safe for concurrent use.
type Agents struct {
	live     bool
	registry *agents.Registry

	mu   sync.Mutex // guards docs
	docs map[resources.AgentID]document
}

type document struct {
	xml []byte
	err error
}

// New makes Agents for a source.
func New(s *source.Source) *Agents {
	return &Agents{live: s.Live(), docs: map[resources.AgentID]document{}, registry: agents.New(agents.Config{})}
}

// ParseID reads "ocf:heartbeat:Dummy", "systemd:nginx" or "stonith:fence_x"; a
// type alone is looked for as crmsh does.
func (a *Agents) ParseID(ctx context.Context, s string) (resources.AgentID, error) {
	parts := strings.SplitN(s, ":", 3)
	switch {
	case len(parts) == 3 && parts[0] == "ocf":
		return resources.AgentID{Class: resources.ClassOCF, Provider: parts[1], Type: parts[2]}, nil
	case len(parts) >= 2 && parts[0] != "ocf":
		return resources.AgentID{Class: resources.Class(parts[0]), Type: strings.Join(parts[1:], ":")}, nil
	case len(parts) <= 2:
		typ := parts[len(parts)-1]
		class, provider := a.Resolve(ctx, typ)
		if class == "" {
			return resources.AgentID{}, exit.Errorf(exit.NoSuch, "no agent %q is installed; %s", typ, a.hint(ctx, "ocf", "", typ))
		}
		return resources.AgentID{Class: resources.Class(class), Provider: provider, Type: typ}, nil
	}
	return resources.AgentID{}, exit.Errorf(exit.Usage, "%q is not an agent: write class:provider:type", s)
}

// Resolve finds the class and provider of an agent named by its type alone:
// ocf:heartbeat if it is there, then ocf:pacemaker, ocf:systole, any other
// provider, and a fence agent last. Empty when there is none.
func (a *Agents) Resolve(ctx context.Context, typ string) (class, provider string) {
	providers := a.Providers(ctx, typ)
	for _, p := range append([]string{"heartbeat", "pacemaker", agents.NativeProvider}, providers...) {
		for _, have := range providers {
			if have == p {
				return "ocf", p
			}
		}
	}
	if strings.HasPrefix(typ, "fence_") {
		return "stonith", ""
	}
	return "", ""
}

// Document is an agent's metadata as XML. An agent that is not installed gives
// an error with status 5 and the nearest name there is.
func (a *Agents) Document(ctx context.Context, id resources.AgentID) ([]byte, error) {
	a.mu.Lock()
	d, known := a.docs[id]
	a.mu.Unlock()
	if !known {
		ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
		defer cancel()
		d.xml, d.err = a.fetch(ctx, id)
		a.mu.Lock()
		a.docs[id] = d
		a.mu.Unlock()
	}
	return d.xml, d.err
}

func (a *Agents) fetch(ctx context.Context, id resources.AgentID) ([]byte, error) {
	doc, err := a.registry.MetaData(ctx, id)
	switch {
	case err == nil:
		return doc, nil
	case a.installed(ctx, id):
		return nil, fmt.Errorf("metadata of %s: %w", id, err)
	}
	return nil, exit.Errorf(exit.NotInstalled, "agent %s is not installed; %s", id, a.hint(ctx, string(id.Class), id.Provider, id.Type))
}

// Metadata is an agent's metadata, parsed.
func (a *Agents) Metadata(ctx context.Context, id resources.AgentID) (*resources.Metadata, error) {
	doc, err := a.Document(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := resources.ParseMetadata(doc)
	if err != nil {
		return nil, fmt.Errorf("metadata of %s: %w", id, err)
	}
	return m, nil
}

// Elsewhere tells whether an agent that is missing may be installed where the
// configuration is to be used: when it is written on a file, on a machine that
// has nothing of the agent's class and provider.
func (a *Agents) Elsewhere(ctx context.Context, id resources.AgentID) bool {
	if a.live {
		return false
	}
	names, err := a.List(ctx, string(id.Class), id.Provider)
	return err != nil || len(names) == 0
}

func (a *Agents) installed(ctx context.Context, id resources.AgentID) bool {
	names, err := a.List(ctx, string(id.Class), id.Provider)
	if err != nil {
		return false
	}
	for _, n := range names {
		if n == id.Type {
			return true
		}
	}
	return false
}

// hint names the nearest agent, or the command that lists them.
func (a *Agents) hint(ctx context.Context, class, provider, typ string) string {
	names, err := a.List(ctx, class, provider)
	if near := clitext.Nearest(typ, names); err == nil && near != "" {
		return "did you mean " + near + "?"
	}
	return strings.TrimSpace("crm ra list "+class+" "+provider) + " shows what there is"
}

// Classes are the classes of agents.
func (a *Agents) Classes(context.Context) ([]string, error) { return a.registry.Classes(), nil }

// Providers are the OCF providers that have the type, or all when it is empty.
func (a *Agents) Providers(_ context.Context, typ string) []string { return a.registry.Providers(typ) }

// List is the agents of a class, of one provider if that is not empty.
func (a *Agents) List(_ context.Context, class, provider string) ([]string, error) {
	return a.registry.List(class, provider)
}
