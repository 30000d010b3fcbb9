package agents

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"systole/agents/process"
	"systole/resources"
)

// record is what agents keep in the CIB and read there. Whoever is not part of the
// daemon uses the tools that scripts use: they work under any cluster manager that has them.
type record struct{ cfg Config }

// Score sets the promotion score on this node; a negative one removes it.
func (r record) Score(ctx context.Context, op resources.Op, score int) error {
	return r.scoreLater(ctx, op, score, 0)
}

// scoreLater is Score after a delay, which the tool does not know.
func (r record) scoreLater(ctx context.Context, op resources.Op, score int, delay time.Duration) (err error) {
	value := ""
	if score >= 0 {
		value = strconv.Itoa(score)
	}
	switch {
	case r.cfg.Attribute != nil: // what crm_attribute --promotion calls it
		err = r.cfg.Attribute(ctx, "master-"+cmp.Or(op.Instance, op.Resource), value, delay)
	case value == "":
		_, err = r.tool(ctx, op, "crm_attribute", "--promotion", "-D")
	default:
		_, err = r.tool(ctx, op, "crm_attribute", "--promotion", "-v", value)
	}
	return err
}

// Set sets a transient attribute of this node, or removes it when value is "".
func (r record) Set(ctx context.Context, op resources.Op, name, value string) error {
	if r.cfg.Attribute != nil {
		return r.cfg.Attribute(ctx, name, value, 0)
	}
	args := []string{"--lifetime", "reboot", "--name", name}
	if op.Node != "" {
		args = append(args, "--node", op.Node)
	}
	if value == "" {
		args = append(args, "--delete")
	} else {
		args = append(args, "--update", value)
	}
	_, err := r.tool(ctx, op, "crm_attribute", args...)
	return err
}

// Keep sets a permanent attribute of this node.
func (r record) Keep(ctx context.Context, op resources.Op, name, value string) error {
	_, err := r.tool(ctx, op, "crm_attribute", "--lifetime", "forever", "--node", op.Node, "--name", name, "--update", value)
	return err
}

// Kept are the permanent attributes of all nodes.
func (r record) Kept(ctx context.Context, op resources.Op) (map[string]map[string]string, error) {
	doc, err := r.tool(ctx, op, "cibadmin", "--query", "--scope", "nodes")
	if err != nil {
		return nil, err
	}
	return nodeAttributes(doc)
}

// Transient are the transient attributes of all nodes.
func (r record) Transient(ctx context.Context, op resources.Op) (map[string]map[string]string, error) {
	doc, err := r.tool(ctx, op, "cibadmin", "--query", "--scope", "status")
	if err != nil {
		return nil, err
	}
	return transientAttributes(doc)
}

// Active are the nodes on which the instance is not on record as stopped.
func (r record) Active(ctx context.Context, op resources.Op) ([]string, error) {
	doc, err := r.tool(ctx, op, "cibadmin", "--query", "--scope", "status")
	if err != nil {
		return nil, err
	}
	return activeNodes(doc, cmp.Or(op.Instance, op.Resource))
}

func (r record) tool(ctx context.Context, op resources.Op, name string, args ...string) ([]byte, error) {
	op.Params = nil // the tool has no use for passwords
	path := filepath.Join(cmp.Or(r.cfg.OCF.SbinDir, "/usr/sbin"), name)
	exit, err := process.Run(ctx, process.Command{Path: path, Args: args, Env: r.cfg.OCF.Environ(op)})
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("%s: exit %d: %s", path, exit.Code, exit.Text())
	}
	return exit.Stdout, err
}

// attributeSet is an instance_attributes element.
type attributeSet struct {
	Pairs []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"nvpair"`
}

// values are the attributes of sets; the first of a name counts.
func values(sets []attributeSet) map[string]string {
	out := map[string]string{}
	for _, s := range sets {
		for _, p := range s.Pairs {
			if _, first := out[p.Name]; !first {
				out[p.Name] = p.Value
			}
		}
	}
	return out
}

// nodeAttributes reads the nodes section of a CIB.
func nodeAttributes(doc []byte) (map[string]map[string]string, error) {
	var section struct {
		Nodes []struct {
			Name string         `xml:"uname,attr"`
			Sets []attributeSet `xml:"instance_attributes"`
		} `xml:"node"`
	}
	if err := xml.Unmarshal(doc, &section); err != nil {
		return nil, fmt.Errorf("nodes of the CIB: %w", err)
	}
	out := map[string]map[string]string{}
	for _, n := range section.Nodes {
		out[n.Name] = values(n.Sets)
	}
	return out, nil
}

// transientAttributes reads them from the status section.
func transientAttributes(doc []byte) (map[string]map[string]string, error) {
	var section struct {
		Nodes []struct {
			Name string         `xml:"uname,attr"`
			Sets []attributeSet `xml:"transient_attributes>instance_attributes"`
		} `xml:"node_state"`
	}
	if err := xml.Unmarshal(doc, &section); err != nil {
		return nil, fmt.Errorf("status of the CIB: %w", err)
	}
	out := map[string]map[string]string{}
	for _, n := range section.Nodes {
		out[n.Name] = values(n.Sets)
	}
	return out, nil
}

// activeNodes reads the status section: a node whose newest operation of the
// resource is not a stop, or a monitor that found nothing, is active or may be.
func activeNodes(doc []byte, resource string) (active []string, err error) {
	var section struct {
		Nodes []struct {
			Name      string `xml:"uname,attr"`
			Resources []struct {
				ID  string `xml:"id,attr"`
				Ops []struct {
					Operation string `xml:"operation,attr"`
					Call      string `xml:"call-id,attr"`
					Code      string `xml:"rc-code,attr"`
					Status    string `xml:"op-status,attr"`
				} `xml:"lrm_rsc_op"`
			} `xml:"lrm>lrm_resources>lrm_resource"`
		} `xml:"node_state"`
	}
	if err := xml.Unmarshal(doc, &section); err != nil {
		return nil, fmt.Errorf("status of the CIB: %w", err)
	}
	for _, n := range section.Nodes {
		for _, rsc := range n.Resources {
			if id, _, _ := strings.Cut(rsc.ID, ":"); id != resource {
				continue
			}
			newest, stopped := -2, true
			for _, op := range rsc.Ops {
				call, err := strconv.Atoi(op.Call)
				if op.Status == "-1" || err != nil { // pending
					newest, stopped = int(^uint(0)>>1), false
					break
				}
				if op.Operation == "notify" || call < newest {
					continue
				}
				newest = call
				stopped = op.Status == "0" && (op.Operation == "stop" && op.Code == "0" || op.Operation == "monitor" && op.Code == "7")
			}
			if !stopped {
				active = append(active, n.Name)
				break
			}
		}
	}
	return active, nil
}
