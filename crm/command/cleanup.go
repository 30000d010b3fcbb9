package command

import (
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
)

func (cl *Cleanup) apply(status *cib.Element) *cib.Element {
	for i, state := range status.Children() {
		if state.Name() == "node_state" && (cl.Node == "" || state.Get("uname") == cl.Node || state.ID() == cl.Node) {
			status = status.ReplaceChild(i, cl.clean(state))
		}
	}
	return status
}

// clean forgets what is asked for in one node's state.
func (cl *Cleanup) clean(state *cib.Element) *cib.Element {
	failed := cl.failedResources(state)
	state = cl.forgetFailures(state)
	if state.Child("lrm") == nil || state.Child("lrm").Child("lrm_resources") == nil {
		return state
	}
	return editChild(state, "lrm", func(lrm *cib.Element) *cib.Element {
		return editChild(lrm, "lrm_resources", func(all *cib.Element) *cib.Element {
			for i := len(all.Children()) - 1; i >= 0; i-- {
				history := all.Children()[i]
				if cl.Resource != "" && history.ID() != cl.Resource {
					continue
				}
				switch {
				case cl.FailuresOnly:
					all = all.ReplaceChild(i, without(history, cl.isFailure))
				case !cl.FailedOnly && cl.Operation == "" || failed[history.ID()]:
					all = all.RemoveChild(i)
				}
			}
			return all
		})
	})
}

// operation is the asked-for operation as failcounts name it, "" for all.
func (cl *Cleanup) operation() string {
	if cl.Operation == "" {
		return ""
	}
	return cl.Operation + "_" + strconv.FormatInt(cl.IntervalMS, 10)
}

// isFailure tells whether an lrm_rsc_op records a failure that is asked for.
func (cl *Cleanup) isFailure(op *cib.Element) bool {
	return strings.HasSuffix(op.ID(), "_last_failure_0") &&
		(cl.Operation == "" || op.Get("operation")+"_"+op.Get("interval") == cl.operation())
}

// failedResources are those with a failcount or a recorded failure that is asked for.
func (cl *Cleanup) failedResources(state *cib.Element) map[string]bool {
	failed := make(map[string]bool)
	for _, set := range children(state.Child("transient_attributes")) {
		for pair := range set.Each("nvpair") {
			name := pair.Get("name")
			if !strings.HasPrefix(name, "fail-count-") || !isFailureOf(name, cl.Resource, cl.operation()) {
				continue
			}
			resource := strings.TrimPrefix(name, "fail-count-")
			if i := strings.LastIndexByte(resource, '#'); i >= 0 {
				resource = resource[:i]
			}
			failed[resource] = true
		}
	}
	for history := range state.Path("lrm", "lrm_resources").Each("lrm_resource") {
		if history.IndexFunc(cl.isFailure) >= 0 {
			failed[history.ID()] = true
		}
	}
	return failed
}

func children(e *cib.Element) []*cib.Element {
	if e == nil {
		return nil
	}
	return e.Children()
}

// forgetFailures removes the failcounts that are asked for.
func (cl *Cleanup) forgetFailures(state *cib.Element) *cib.Element {
	if state.Child("transient_attributes") == nil {
		return state
	}
	counts := func(e *cib.Element) bool {
		return e.Name() == "nvpair" && isFailureOf(e.Get("name"), cl.Resource, cl.operation())
	}
	return editChild(state, "transient_attributes", func(transient *cib.Element) *cib.Element {
		for i, set := range transient.Children() {
			if set.IndexFunc(counts) >= 0 {
				transient = transient.ReplaceChild(i, set.WithChildren(slices.DeleteFunc(slices.Clone(set.Children()), counts)...))
			}
		}
		return transient
	})
}
