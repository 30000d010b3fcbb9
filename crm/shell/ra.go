package shell

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"systole/crm/api"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/shell/source"
	"systole/resources"
)

func raClasses(ctx context.Context, c *call) error {
	classes, err := c.agents.Classes(ctx)
	if err != nil {
		return err
	}
	for _, class := range classes {
		if class == "ocf" {
			class += " / " + strings.Join(c.agents.Providers(ctx, ""), " ")
		}
		c.io.Println(class)
	}
	return nil
}

func raList(ctx context.Context, c *call) error {
	provider := ""
	if len(c.args) > 1 {
		provider = c.args[1]
	}
	names, err := c.agents.List(ctx, c.args[0], provider)
	if err != nil {
		return exit.With(max(exit.Of(err), exit.NoSuch), err)
	}
	for _, n := range names {
		c.io.Println(n)
	}
	return nil
}

func raProviders(ctx context.Context, c *call) error {
	list := c.agents.Providers(ctx, c.args[0])
	if len(list) == 0 {
		return exit.Errorf(exit.NoSuch, "no provider has an OCF agent %q; crm ra list ocf shows what there is", c.args[0])
	}
	c.io.Println(strings.Join(list, " "))
	return nil
}

// documents are the names under which options are explained like an agent.
var documents = map[string]options.Daemon{
	"pengine": options.Scheduler, "crmd": options.Controller, "cib": options.Manager, "stonithd": options.Fencer,
	string(options.Scheduler): options.Scheduler, string(options.Controller): options.Controller,
	string(options.Manager): options.Manager, string(options.Fencer): options.Fencer,
}

// raInfo prints an agent's metadata for people.
func raInfo(ctx context.Context, c *call) error {
	if d, ok := documents[c.args[0]]; ok {
		printAgent(c, string(d), options.Metadata(d))
		return nil
	}
	name := c.args[0]
	if len(c.args) > 1 { // info TYPE CLASS [PROVIDER]
		name = strings.Join(append(slices.Clone(c.args[1:]), c.args[0]), ":")
	}
	id, err := c.agents.ParseID(ctx, name)
	if err != nil {
		return err
	}
	m, err := c.agents.Metadata(ctx, id)
	if err != nil {
		return err
	}
	if id.Class == resources.ClassStonith {
		m.Parameters = append(m.Parameters, options.DeviceParameters()...)
	}
	printAgent(c, id.String(), m)
	return nil
}

func printAgent(c *call, name string, m *resources.Metadata) {
	c.io.Printf("%s (%s)\n\n%s\n", m.Short, name, strings.TrimSpace(m.Long))
	if len(m.Parameters) > 0 {
		c.io.Printf("\nParameters (*: required, []: default):\n")
	}
	for _, p := range m.Parameters {
		mark := ""
		if p.Required {
			mark = "*"
		}
		def := ""
		if p.Default != "" {
			def = ", [" + p.Default + "]"
		}
		values := ""
		if len(p.Values) > 0 {
			values = ": " + strings.Join(p.Values, ", ")
		}
		c.io.Printf("\n%s%s (%s%s%s): %s\n", p.Name, mark, p.Type, values, def, strings.TrimSpace(p.Short))
		if l := strings.TrimSpace(p.Long); l != "" && l != strings.TrimSpace(p.Short) {
			for line := range strings.Lines(l) {
				c.io.Printf("    %s\n", strings.TrimSpace(line))
			}
		}
	}
	if len(m.Actions) > 0 {
		c.io.Printf("\nOperations and the times advised:\n\n")
	}
	for _, a := range m.Actions {
		words := []string{"    " + a.Name}
		for _, w := range [][2]string{{"timeout", a.Timeout}, {"interval", a.Interval}, {"role", a.Role}, {"depth", a.Depth}} {
			if w[1] != "" {
				words = append(words, w[0]+"="+w[1])
			}
		}
		c.io.Println(strings.Join(words, " "))
	}
}

// raValidate checks parameters against an agent: on a live cluster the agent
// itself is asked, on a file only its metadata.
func raValidate(ctx context.Context, c *call) error {
	id, err := c.agents.ParseID(ctx, c.args[0])
	if err != nil {
		return err
	}
	m, err := c.agents.Metadata(ctx, id)
	if err != nil {
		return err
	}
	params := map[string]string{}
	for _, a := range c.args[1:] {
		k, v, ok := strings.Cut(a, "=")
		if !ok {
			return exit.Errorf(exit.Usage, "%q is no parameter; write NAME=VALUE", a)
		}
		if m.Parameter(k) == nil {
			var known []string
			for _, p := range m.Parameters {
				known = append(known, p.Name)
			}
			return exit.Errorf(exit.InvalidParam, "%s has no parameter %q%s", id, k, didYouMean(k, known))
		}
		params[k] = v
	}
	if _, err := m.Resolve(params); err != nil {
		return exit.With(exit.NotConfigured, err)
	}
	if !c.src.Live() || !m.Offers("validate-all") {
		c.info("the parameters fit the metadata of %s; the agent itself was not asked", id)
		return nil
	}
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	reply, err := client.Force(ctx, api.ForceRequest{Agent: id.String(), Action: "validate-all", Params: params})
	if err != nil {
		return source.Coded(err)
	}
	c.io.Printf("%s", reply.Output)
	if reply.Code != 0 {
		return exit.With(exit.Code(reply.Code), fmt.Errorf("%s refuses these parameters: %s", id, reply.Reason))
	}
	return nil
}
