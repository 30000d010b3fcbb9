package status

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
)

// The fixed paths and port of the remote executor inside a bundle's container. The digests of operations depend on them.
const (
	bundleKey     = "/etc/pacemaker/authkey"
	bundleLogs    = "/var/log/pacemaker/bundles"
	bundleRemoted = "/usr/sbin/pacemaker-remoted"
	bundlePort    = "3121"
)

// addBundle makes the resources a bundle implies: per replica a container, an address and a connection, and a clone of
// the bundled primitive whose instances live on the replicas' nodes.
func (u *unpacker) addBundle(r ResID) {
	c := u.s.Resources[r].Config
	spec := c.Bundle
	b := &BundleState{Image: spec.Image, Member: NoRes, PerHost: max(1, int(min(number(spec.ReplicasPerHost, 1), math.MaxInt32))),
		PromotedMax: int(min(max(0, number(spec.PromotedMax, 0)), math.MaxInt32))}
	replicas := int(min(max(1, number(spec.Replicas, 1)), math.MaxInt32))
	if spec.Replicas == "" && b.PromotedMax > 0 {
		replicas = b.PromotedMax
	}
	replicas = u.within(c, "replicas", replicas)
	networked := spec.IPRangeStart != "" || spec.ControlPort != ""
	if spec.IPRangeStart == "" && spec.ControlPort != "" {
		b.PerHost = 1
	}
	if b.PerHost == 1 {
		u.s.Resources[r].Unique = false
	}
	u.s.Resources[r].Bundle = b
	var member *model.Resource
	for _, m := range c.Members {
		if m.Kind == model.Primitive {
			member = m
		}
	}
	if member != nil && !networked {
		u.problem("bundle %s: cannot control %s without ip-range-start or control-port", c.ID, member.ID)
		member = nil
	}
	if member != nil {
		b.Member = u.add(bundleClone(c.ID, member, b, replicas), r, "")
	}
	addresses := addressesFrom(spec.IPRangeStart, replicas)
	hosts := bundleHosts(c.ID, spec, addresses)
	for i := range replicas {
		rep := Replica{Offset: i, Container: NoRes, IP: NoRes, Remote: NoRes, Member: NoRes, Node: NoNode}
		if addresses != nil {
			rep.IPAddr = addresses[i]
		}
		if b.Member != NoRes {
			clone := &u.s.Resources[b.Member]
			rep.Member = clone.Children[i]
			m := &u.s.Resources[rep.Member]
			m.ExclusiveDiscovery = true
			clone.Notify = clone.Notify || m.Notify
		}
		u.addReplica(r, &rep, hosts)
		b.Replicas = append(b.Replicas, rep)
	}
	bundle := &u.s.Resources[r]
	for _, rep := range b.Replicas {
		for _, part := range []ResID{rep.Container, rep.IP, rep.Remote} {
			if part != NoRes {
				bundle.Children = append(bundle.Children, part)
			}
		}
	}
	if b.Member != NoRes {
		bundle.Children = append(bundle.Children, b.Member)
		if t := u.s.Resources[b.Replicas[0].Member].Meta["container-attribute-target"]; t != "" {
			bundle.Meta["container-attribute-target"] = t
			u.s.Resources[b.Member].Meta["container-attribute-target"] = t
		}
	}
}

// bundleClone is the clone that runs the bundled primitive in every replica.
func bundleClone(bundle string, member *model.Resource, b *BundleState, replicas int) *model.Resource {
	id := bundle + "-clone"
	if b.PromotedMax > 0 {
		id = bundle + "-master"
	}
	meta := cib.New("meta_attributes", "id", bundle+"-clone-meta")
	pair := func(name, value string) {
		meta = meta.Append(cib.New("nvpair", "id", meta.ID()+"-"+name, "name", name, "value", value))
	}
	pair("ordered", "true")
	pair("clone-max", strconv.Itoa(replicas))
	pair("clone-node-max", strconv.Itoa(b.PerHost))
	pair("globally-unique", strconv.FormatBool(b.PerHost > 1))
	if b.PromotedMax > 0 {
		pair("promotable", "true")
		pair("promoted-max", strconv.Itoa(b.PromotedMax))
	}
	e := cib.New("clone", "id", id).Append(meta)
	return &model.Resource{ID: id, Kind: model.Clone, Source: e, Meta: model.Sets(e, "meta_attributes"), Members: []*model.Resource{member}}
}

// addressesFrom are n consecutive addresses, nil without a first one.
func addressesFrom(first string, n int) []string {
	if first == "" {
		return nil
	}
	addresses := []string{first}
	at, err := netip.ParseAddr(first)
	for len(addresses) < n {
		if err != nil {
			addresses = append(addresses, first)
			continue
		}
		at = at.Next()
		if at.Is4() && at.As4()[3] >= 254 { // leave the broadcast address and its like alone
			four := at.As4()
			four[2], four[3] = four[2]+1, 1
			at = netip.AddrFrom4(four)
		}
		addresses = append(addresses, at.String())
	}
	return addresses
}

// bundleHosts are the options that tell each container the names of all replicas.
func bundleHosts(bundle string, spec *model.BundleSpec, addresses []string) string {
	add, ok := Truth(spec.AddHost)
	var b strings.Builder
	for i, a := range addresses {
		if add || !ok {
			fmt.Fprintf(&b, " --add-host=%s-%d:%s", bundle, i, a)
		} else {
			fmt.Fprintf(&b, " --hosts-entry=%s=%s-%d", a, bundle, i)
		}
	}
	return b.String()
}

func (u *unpacker) addReplica(bundle ResID, rep *Replica, hosts string) {
	c := u.s.Resources[bundle].Config
	spec := c.Bundle
	rep.Container = u.add(bundleContainer(c.ID, spec, rep, hosts), bundle, "")
	u.s.Resources[rep.Container].ReplicaContainer = true
	if rep.IPAddr != "" {
		rep.IP = u.add(bundleAddress(c.ID, spec, rep), bundle, "")
	}
	if rep.Member != NoRes {
		u.addBundleNode(bundle, rep)
		member := &u.s.Resources[rep.Member]
		container := &u.s.Resources[rep.Container]
		container.Utilization, member.Utilization = member.Utilization, container.Utilization
		if rep.IPAddr != "" {
			member.ExternalIP = rep.IPAddr
		}
	}
}

// addBundleNode makes the guest node a replica is, and the connection to it.
func (u *unpacker) addBundleNode(bundle ResID, rep *Replica) {
	c := u.s.Resources[bundle].Config
	id := fmt.Sprintf("%s-%d", c.ID, rep.Offset)
	if _, taken := u.s.resByID[id]; taken {
		id = fmt.Sprintf("pcmk-internal-%s-remote-%d", u.s.Resources[rep.Member].ID, rep.Offset)
	}
	server, port := rep.IPAddr, c.Bundle.ControlPort
	if server == "" {
		server = "#uname"
	}
	if port == "" {
		port = bundlePort
	}
	n, known := u.s.Node(id)
	if !known {
		n = u.newNode(id, id, Remote, minusInfinity)
	}
	n.Score, n.BundleOnly, n.BundleOnlyFrom = minusInfinity, true, ResID(len(u.s.Resources))
	rep.Node = n.Index
	rep.Remote = u.add(connection(connectionSpec{name: id, container: u.s.Resources[rep.Container].ID, server: server, port: port}), bundle, "")
	n = &u.s.Nodes[rep.Node]
	n.Connection, n.Kind = rep.Remote, Guest
	n.Attributes["#kind"] = "container"
	u.s.Resources[rep.Remote].NestedRemotes = true
}

// bundleContainer is the primitive that runs a replica's container.
func bundleContainer(bundle string, spec *model.BundleSpec, rep *Replica, hosts string) *model.Resource {
	managed := rep.Member != NoRes
	var run strings.Builder
	if spec.Engine == "docker" {
		run.WriteString(" --restart=no")
	}
	if spec.IPRangeStart != "" {
		fmt.Fprintf(&run, " -h %s-%d", bundle, rep.Offset)
	}
	run.WriteString(" -e PCMK_stderr=1")
	if spec.Network != "" {
		run.WriteString(" --net=" + spec.Network)
	}
	port := spec.ControlPort
	if port == "" {
		port = bundlePort
	}
	run.WriteString(" -e PCMK_remote_port=" + port)
	var dirs []string
	mounts, ports := spec.Mounts, spec.Ports
	if managed {
		mounts = append(mounts[:len(mounts):len(mounts)], model.StorageMapping{SourceDir: bundleKey, TargetDir: bundleKey})
		logged := false
		for _, m := range spec.Mounts {
			logged = logged || m.TargetDir == "/var/log"
		}
		if !logged {
			mounts = append(mounts, model.StorageMapping{SourceDirRoot: bundleLogs, TargetDir: "/var/log"})
		}
		ports = append(ports[:len(ports):len(ports)], model.PortMapping{Port: port, InternalPort: port})
	}
	for _, m := range mounts {
		source := m.SourceDir
		if source == "" {
			source = fmt.Sprintf("%s/%s-%d", m.SourceDirRoot, bundle, rep.Offset)
			dirs = append(dirs, source)
		}
		run.WriteString(" -v " + source + ":" + m.TargetDir)
		if m.Options != "" {
			run.WriteString(":" + m.Options)
		}
	}
	for _, p := range ports {
		from, to := p.Port, p.InternalPort
		if from == "" {
			from, to = p.Range, ""
		}
		if to == "" {
			to = from
		}
		switch {
		case from == "":
		case rep.IPAddr != "":
			run.WriteString(" -p " + rep.IPAddr + ":" + from + ":" + to)
		case spec.Network != "host":
			run.WriteString(" -p " + from + ":" + to)
		}
	}
	if _, set := spec.Container.Lookup("options"); set {
		run.WriteString(" " + spec.Options)
	}
	run.WriteString(" " + hosts)

	id := sanitizeID(fmt.Sprintf("%s-%s-%d", bundle, spec.Engine, rep.Offset))
	attrs := cib.New("instance_attributes", "id", fmt.Sprintf("%s-attributes-%d", bundle, rep.Offset))
	pair := func(name, value string) {
		attrs = attrs.Append(cib.New("nvpair", "id", attrs.ID()+"-"+name, "name", name, "value", value))
	}
	pair("image", spec.Image)
	pair("allow_pull", "true")
	pair("force_kill", "false")
	pair("reuse", "false")
	pair("run_opts", run.String())
	pair("mount_points", strings.Join(dirs, ","))
	switch {
	case spec.RunCommand != "":
		pair("run_cmd", spec.RunCommand)
	case managed:
		pair("run_cmd", bundleRemoted)
	}
	pair("monitor_cmd", "/bin/true")
	return primitive(cib.New("primitive", "id", id, "class", "ocf", "provider", "heartbeat", "type", spec.Engine).Append(attrs, bundleMonitor(id)))
}

// bundleAddress is the primitive that holds a replica's address.
func bundleAddress(bundle string, spec *model.BundleSpec, rep *Replica) *model.Resource {
	id := sanitizeID(fmt.Sprintf("%s-ip-%s", bundle, rep.IPAddr))
	attrs := cib.New("instance_attributes", "id", fmt.Sprintf("%s-attributes-%d", bundle, rep.Offset))
	pair := func(name, value string) {
		attrs = attrs.Append(cib.New("nvpair", "id", attrs.ID()+"-"+name, "name", name, "value", value))
	}
	pair("ip", rep.IPAddr)
	if spec.HostInterface != "" {
		pair("nic", spec.HostInterface)
	}
	netmask := spec.HostNetmask
	if netmask == "" {
		netmask = "32"
	}
	pair("cidr_netmask", netmask)
	return primitive(cib.New("primitive", "id", id, "class", "ocf", "provider", "heartbeat", "type", "IPaddr2").Append(attrs, bundleMonitor(id)))
}

func bundleMonitor(id string) *cib.Element {
	return cib.New("operations").Append(cib.New("op", "id", id+"-monitor-60s", "interval", "60s", "name", "monitor"))
}

// sanitizeID replaces the characters that XML ids cannot have; a colon (of an IPv6 address) becomes a dot.
func sanitizeID(id string) string {
	return strings.Map(func(c rune) rune {
		switch c {
		case ':', '#':
			return '.'
		}
		return c
	}, id)
}
