package shell

import (
	"context"
	"strings"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/shell/options"
)

// completer gives candidates for one argument.
type completer func(ctx context.Context, sh *Shell, before []string) []string

// inTurn completes each argument by its own completer; the last one repeats.
func inTurn(each ...completer) func(context.Context, *Shell, []string) []string {
	return func(ctx context.Context, sh *Shell, before []string) []string {
		return each[min(len(before), len(each)-1)](ctx, sh, before)
	}
}

// words are fixed candidates.
func words(list ...string) completer {
	return func(context.Context, *Shell, []string) []string { return list }
}

// local is the CIB for completion; nothing when it cannot be read.
func (sh *Shell) local(ctx context.Context) *cib.Element {
	if sh.edit != nil {
		return sh.edit.root()
	}
	base, err := sh.src.ReadLocal(ctx)
	if err != nil {
		return cib.New("cib")
	}
	return base.Root()
}

func theResources(ctx context.Context, sh *Shell, _ []string) []string {
	return resourceIDs(sh.local(ctx))
}

func theNodes(ctx context.Context, sh *Shell, _ []string) []string { return nodeNames(sh.local(ctx)) }

func theObjects(ctx context.Context, sh *Shell, _ []string) []string {
	conf := sh.local(ctx).Child("configuration")
	if conf == nil {
		return nil
	}
	ids, err := clitext.NewDraft(conf).Select(nil, nil)
	if err != nil {
		return nil
	}
	return ids
}

func theAgents(ctx context.Context, sh *Shell, before []string) []string {
	var out []string
	for _, p := range sh.agents.Providers(ctx, "") {
		types, err := sh.agents.List(ctx, "ocf", p)
		if err != nil {
			continue
		}
		for _, t := range types {
			out = append(out, "ocf:"+p+":"+t)
		}
	}
	if devices, err := sh.agents.List(ctx, "stonith", ""); err == nil {
		for _, d := range devices {
			out = append(out, "stonith:"+d)
		}
	}
	return append(out, "systemd:", "lsb:", "service:")
}

// completeObject completes the statements of the configuration language.
func completeObject(keyword string) completer {
	switch keyword {
	case "primitive", "rsc_template":
		return completePrimitive
	case "property":
		return func(context.Context, *Shell, []string) []string { return equals(options.Properties()) }
	case "rsc_defaults":
		return func(context.Context, *Shell, []string) []string { return equals(options.MetaAttributes()) }
	case "op_defaults":
		return func(context.Context, *Shell, []string) []string { return equals(options.OperationAttributes()) }
	case "group", "clone", "ms", "tag", "monitor", "rsc_ticket":
		return inTurn(words(), theResources)
	case "location":
		return inTurn(words(), theResources, words("inf:", "-inf:", "rule", "role=", "resource-discovery="), theNodes)
	case "colocation":
		return inTurn(words(), words("inf:", "-inf:"), theResources)
	case "order":
		return inTurn(words(), words("Mandatory:", "Optional:", "Serialize:"), theResources)
	case "node":
		return inTurn(theNodes, words("attributes", "utilization"))
	}
	return words()
}

// completePrimitive knows where in the statement it is.
func completePrimitive(ctx context.Context, sh *Shell, before []string) []string {
	switch len(before) {
	case 0:
		return nil
	case 1:
		return theAgents(ctx, sh, before)
	}
	section := "params"
	for _, w := range before[2:] {
		switch w {
		case "params", "meta", "utilization", "op", "operations", "op_params", "op_meta":
			section = w
		}
	}
	keywords := []string{"params", "meta", "op", "utilization", "operations"}
	switch section {
	case "meta":
		return append(keywords, equals(options.MetaAttributes())...)
	case "op":
		if before[len(before)-1] == "op" {
			return []string{"monitor", "start", "stop", "promote", "demote", "notify"}
		}
		return append(keywords, equals(options.OperationAttributes())...)
	case "params":
		id, err := sh.agents.ParseID(ctx, before[1])
		if err != nil {
			return keywords
		}
		m, err := sh.agents.Metadata(ctx, id)
		if err != nil {
			return keywords
		}
		for _, p := range m.Parameters {
			keywords = append(keywords, p.Name+"=")
		}
	}
	return keywords
}

func equals(names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		out = append(out, strings.TrimSpace(n)+"=")
	}
	return out
}
