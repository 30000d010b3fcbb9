// Package model is the typed, immutable configuration of a cluster: what the
// administrator wrote, decoded once from the CIB's configuration section.
//
// Nothing here depends on the time, on node attributes or on state: attribute
// sets keep their rules, and package status evaluates them. Slices keep the
// order of the document, which decides ties in scheduling. Values are shared
// and must not be modified.
package model

import (
	"systole/crm/cib"
)

// Kind says what a configured resource is.
type Kind uint8

// The kinds of resource. A promotable clone is a Clone.
const (
	Primitive Kind = iota
	Group
	Clone
	Bundle
)

var kindNames = [...]string{"primitive", "group", "clone", "bundle"}

// String is the field's word for the kind.
func (k Kind) String() string { return kindNames[k] }

// Config is the decoded configuration section.
type Config struct {
	// Source is the cib element everything was decoded from.
	Source *cib.Element
	// Options are the crm_config property sets, still with their rules.
	Options []AttrSet
	// Nodes are the nodes/node entries in document order.
	Nodes []NodeConfig
	// Resources are the top-level resources in document order.
	Resources []*Resource
	// Templates are the resource templates by id.
	Templates map[string]*cib.Element
	// ResourceDefaults and OpDefaults are rsc_defaults and op_defaults.
	ResourceDefaults, OpDefaults []AttrSet
	// Tags are the tags by id, with the ids they refer to in document order.
	Tags map[string][]string
	// Constraints are all constraints in document order.
	Constraints Constraints
	// FencingLevels are the fencing-topology entries in document order.
	FencingLevels []FencingLevel
	// Problems are configuration errors that were survived by ignoring the thing named.
	Problems []string
}

// AttrSet is one set of name/value pairs: instance_attributes, meta_attributes,
// utilization, cluster_property_set or one of the defaults. The XML is kept, because
// rules, id-refs and scores inside are evaluated with the time and the node.
type AttrSet struct{ Source *cib.Element }

// NodeConfig is one nodes/node entry.
type NodeConfig struct {
	ID, Name    string
	Type        string // "member" (also ""), "remote", "ping"
	Attributes  []AttrSet
	Utilization []AttrSet
	Score       string // the deprecated score attribute, "" without one
	Source      *cib.Element
}

// Resource is one configured resource with its template already merged in.
type Resource struct {
	ID   string
	Kind Kind
	// Class, Provider and Type name the agent of a primitive.
	Class, Provider, Type string
	// Template is the id of the template merged in, "" without one.
	Template string
	// Members are a group's primitives, a clone's one resource, or a bundle's primitive, if any.
	Members []*Resource
	// Meta, Params and Utilization are the attribute sets, the resource's own before its template's.
	Meta, Params, Utilization []AttrSet
	// Ops are the op elements, template's merged in.
	Ops []Op
	// Bundle is set for a bundle.
	Bundle *BundleSpec
	// OldPromotable marks the element name "master" of old schemas.
	OldPromotable bool
	// Source is the element, with the template expanded.
	Source *cib.Element
}

// Op is one configured operation.
type Op struct {
	ID, Name string
	// Interval is the text as configured ("10s"); "" means 0.
	Interval string
	// Source is the op element, which also holds nested attribute sets.
	Source *cib.Element
}

// BundleSpec is what a bundle says about its containers.
type BundleSpec struct {
	// Engine is "docker", "podman" or "rkt".
	Engine string
	// Container is the element of that name.
	Container *cib.Element
	// Image, RunCommand, Network and Options are its attributes.
	Image, RunCommand, Network, Options string
	// Replicas, ReplicasPerHost and PromotedMax are the numbers as written, "" if absent.
	Replicas, ReplicasPerHost, PromotedMax string
	// IPRangeStart, ControlPort, HostInterface, HostNetmask and AddHost are the network's attributes.
	IPRangeStart, ControlPort, HostInterface, HostNetmask, AddHost string
	Ports                                                          []PortMapping
	Mounts                                                         []StorageMapping
}

// PortMapping is one port-mapping of a bundle.
type PortMapping struct{ ID, Port, InternalPort, Range string }

// StorageMapping is one storage-mapping of a bundle. A SourceDirRoot gives each replica a directory of its own.
type StorageMapping struct{ ID, SourceDir, SourceDirRoot, TargetDir, Options string }

// FencingLevel is one fencing-level: devices tried together at Index for the target.
type FencingLevel struct {
	ID string
	// Target is a node name, TargetPattern a regular expression, or TargetAttribute/TargetValue select nodes.
	Target, TargetPattern, TargetAttribute, TargetValue string
	Index                                               int
	Devices                                             []string
}
