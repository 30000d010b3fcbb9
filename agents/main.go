package agents

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"systole/agents/ocf"
	"systole/resources"
)

// Main runs a native agent as a stand-alone OCF script, for other cluster
// managers and ocf-tester: the action is the only argument, everything else is
// in the environment (OCF RA API 1.1). It returns the exit code. There is no
// lease and no guard then; who runs it answers for that.
func Main(ctx context.Context, typ string, args, env []string, stdout, stderr io.Writer) int {
	vars := map[string]string{}
	for _, s := range env {
		name, value, _ := strings.Cut(s, "=")
		vars[name] = value
	}
	r := New(Config{
		OCF:   ocf.Config{Root: vars["OCF_ROOT"], SbinDir: vars["HA_SBIN_DIR"], RscTmp: vars["HA_RSCTMP"]},
		alone: true,
	})
	defer r.Close()
	agent, ok := r.natives[typ]
	if !ok {
		fmt.Fprintf(stderr, "ocf-exit-reason:%s is none of the native agents %v\n", typ, Native())
		return int(resources.ErrInstalled)
	}
	if len(args) != 1 || args[0] == "usage" || args[0] == "help" {
		fmt.Fprintf(stdout, "usage: %s start|stop|monitor|validate-all|meta-data|… (OCF; parameters are OCF_RESKEY_* in the environment)\n", typ)
		if len(args) == 1 {
			return int(resources.OK)
		}
		return int(resources.ErrArgs)
	}
	if args[0] == string(resources.ActionMetaData) {
		data, err := agent.MetaData(ctx)
		if err == nil {
			data, err = public(data)
		}
		if err != nil {
			fmt.Fprintf(stderr, "ocf-exit-reason:%v\n", err)
			return int(resources.ErrGeneric)
		}
		stdout.Write(data)
		return int(resources.OK)
	}
	op := standAloneOp(typ, args[0], vars)
	ctx, cancel := context.WithTimeout(ctx, op.Timeout)
	defer cancel()
	res := agent.Execute(ctx, op)
	if res.Output != "" {
		fmt.Fprintln(stderr, strings.TrimSpace(res.Output))
	}
	if res.Reason != "" {
		fmt.Fprintf(stderr, "ocf-exit-reason:%s\n", strings.ReplaceAll(res.Reason, "\n", "; "))
	}
	return int(res.Code)
}

// public is metadata as the DTD of OCF 1.0 allows it, which ocf-tester goes by:
// it does not know that a parameter can be private.
func public(doc []byte) ([]byte, error) {
	m, err := resources.ParseMetadata(doc)
	if err != nil {
		return nil, err
	}
	for i := range m.Parameters {
		m.Parameters[i].Private = false
	}
	return m.XML(), nil
}

// standAloneOp reads the operation from the environment.
func standAloneOp(typ, action string, vars map[string]string) resources.Op {
	op := resources.Op{
		Resource: vars["OCF_RESOURCE_INSTANCE"], Action: resources.Action(action), Timeout: resources.DefaultTimeout,
		Agent:  resources.AgentID{Class: resources.ClassOCF, Provider: NativeProvider, Type: typ},
		Params: map[string]string{}, Meta: map[string]string{},
	}
	if op.Resource == "" {
		op.Resource = "default"
	}
	const param, meta = "OCF_RESKEY_", "OCF_RESKEY_CRM_meta_"
	for name, value := range vars {
		if m, ok := strings.CutPrefix(name, meta); ok {
			op.Meta[m] = value
		} else if p, ok := strings.CutPrefix(name, param); ok {
			op.Params[p] = value
		}
	}
	op.CheckLevel, _ = strconv.Atoi(vars["OCF_CHECK_LEVEL"])
	op.Node = op.Meta["on_node"]
	if ms, err := strconv.ParseInt(op.Meta["interval"], 10, 64); err == nil && ms > 0 {
		op.Interval = time.Duration(ms) * time.Millisecond
	}
	if ms, err := strconv.ParseInt(op.Meta["timeout"], 10, 64); err == nil && ms > 0 {
		op.Timeout = time.Duration(ms) * time.Millisecond
	}
	return op
}
