package secret

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"systole/crm/cluster"
	"systole/resources"
)

// Reference is what the CIB has in place of a secret value.
const Reference = "lrm://"

// Lookup finds an agent, as executor.Config has it.
type Lookup func(resources.AgentID) (resources.Agent, error)

// Agents puts secrets into the operations of the agents that lookup finds, and
// takes them out of what the agents say.
func (s *Server) Agents(lookup Lookup) Lookup {
	return func(id resources.AgentID) (resources.Agent, error) {
		a, err := lookup(id)
		if err != nil {
			return nil, err
		}
		with := agent{a, s}
		if _, watches := a.(resources.Watcher); watches {
			return watcher{with}, nil
		}
		return with, nil
	}
}

// agent is an agent that gets its secrets.
type agent struct {
	resources.Agent
	secrets *Server
}

// Execute runs the operation with its secrets.
func (a agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	params, missing := a.secrets.Resolve(ctx, op.Resource, op.Params)
	if len(missing) > 0 && op.Action != resources.ActionStop {
		return resources.Result{Status: resources.StatusNoSecrets, Code: resources.ErrConfigured, Reason: fmt.Sprintf(
			"secret %s of %s is not known on this node: crm resource secret set", strings.Join(missing, ", "), base(op.Resource))}
	}
	configured := op.Params
	op.Params = params
	return blot(a.Agent.Execute(ctx, op), configured, params)
}

// watcher is an agent that also watches.
type watcher struct{ agent }

// Watch watches with the secrets.
func (a watcher) Watch(ctx context.Context, op resources.Op) bool {
	op.Params, _ = a.secrets.Resolve(ctx, op.Resource, op.Params)
	return a.Agent.(resources.Watcher).Watch(ctx, op)
}

// Resolve replaces references in a resource's parameters by values; those that
// are not known are left out and named. What this node does not know the others
// are asked for, once.
func (s *Server) Resolve(ctx context.Context, resource string, params map[string]string) (resolved map[string]string, missing []string) {
	if !hasReference(params) {
		return params, nil
	}
	resolved, missing = s.o.Vault.resolve(base(resource), params)
	if len(missing) > 0 {
		s.pull(ctx)
		resolved, missing = s.o.Vault.resolve(base(resource), params)
	}
	return resolved, missing
}

func hasReference(params map[string]string) bool {
	for _, v := range params {
		if v == Reference {
			return true
		}
	}
	return false
}

func (v *Vault) resolve(resource string, params map[string]string) (resolved map[string]string, missing []string) {
	resolved = maps.Clone(params)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if params[name] != Reference {
			continue
		}
		if value, ok := v.Get(Key{resource, name}); ok {
			resolved[name] = string(value)
		} else {
			delete(resolved, name)
			missing = append(missing, name)
		}
	}
	return resolved, missing
}

// base is a resource's id without the number of an instance.
func base(resource string) string {
	id, _, _ := strings.Cut(resource, ":")
	return id
}

// blot takes secret values out of what an agent said. Values too short to be
// recognized safely are only taken out as whole words would be: not at all.
const shortest = 4

func blot(res resources.Result, configured, resolved map[string]string) resources.Result {
	for name, v := range configured {
		if secret := resolved[name]; v == Reference && len(secret) >= shortest {
			hidden := fmt.Sprint(cluster.Secret(nil))
			res.Reason = strings.ReplaceAll(res.Reason, secret, hidden)
			res.Output = strings.ReplaceAll(res.Output, secret, hidden)
			res.Stdout = []byte(strings.ReplaceAll(string(res.Stdout), secret, hidden))
		}
	}
	return res
}
