package cib

import "strings"

// vocabularyText is what a configuration may be made of, one element on a line:
// its tag, its attributes, and the tags it may hold. An attribute with ! must
// be there; after = stands what its value must be: one of the words joined by
// "/", or a kind that [valueKinds] knows. ~ marks what only schemas before
// 3.0 have. Rules that look further than one element are in semantics.go. Source:
// Pacemaker Explained, and cibadmin 2.1.5 as an oracle for what it takes and refuses.
const vocabularyText = `
cib              | validate-with! admin_epoch!=count epoch!=count num_updates!=count crm_feature_set remote-tls-port=count remote-clear-port=count have-quorum=bool dc-uuid cib-last-written no-quorum-panic=bool update-origin update-client update-user execution-date generated num_peers ccm_transition cib_feature_revision ignore_dtd | configuration status
configuration    | | crm_config nodes resources constraints rsc_defaults op_defaults fencing-topology acls tags alerts
crm_config       | | cluster_property_set
rsc_defaults     | | meta_attributes
op_defaults      | | meta_attributes
cluster_property_set | id=id id-ref=ref score=score | rule nvpair
meta_attributes  | id=id id-ref=ref score=score | rule nvpair
instance_attributes | id=id id-ref=ref score=score | rule nvpair
utilization      | id=id id-ref=ref score=score | rule nvpair
nvpair           | id=id id-ref=ref name value |
nodes            | | node
node             | id! uname! type=member/ping/remote/normal/pending description score=score | instance_attributes utilization
resources        | | primitive group clone master bundle template
primitive        | id!=id class=ocf/lsb/heartbeat/stonith/upstart/service/systemd/nagios provider type template=ref description | operations meta_attributes instance_attributes utilization
template         | id!=id class!=ocf/lsb/heartbeat/stonith/upstart/service/systemd/nagios provider type! description | operations meta_attributes instance_attributes utilization
group            | id!=id description | primitive meta_attributes instance_attributes
clone            | id!=id description | primitive group template meta_attributes instance_attributes
master           | id!=id description | primitive group template meta_attributes instance_attributes
bundle           | id!=id description | docker podman rkt network storage primitive meta_attributes
docker           | image! replicas=count replicas-per-host=positive masters=count promoted-max=count run-command network options |
podman           | image! replicas=count replicas-per-host=positive masters=count promoted-max=count run-command network options |
rkt              | image! replicas=count replicas-per-host=positive masters=count promoted-max=count run-command network options |
network          | ip-range-start control-port=count host-interface host-netmask add-host=bool | port-mapping
port-mapping     | id!=id port=count internal-port=count range |
storage          | | storage-mapping
storage-mapping  | id!=id source-dir source-dir-root target-dir! options |
operations       | id=id id-ref=ref | op
op               | id=id id-ref=ref name interval description timeout start-delay interval-origin enabled=bool record-pending=bool role=role on-fail=ignore/block/demote/stop/restart/standby/fence/restart-container ~requires ~prereq ~disabled | meta_attributes instance_attributes
constraints      | | rsc_location rsc_colocation rsc_order rsc_ticket
rsc_location     | id!=id rsc=resource rsc-pattern node score=score role=role resource-discovery=always/never/exclusive description ~score-attribute ~score-attribute-mangled ~domain | rule resource_set lifetime
rsc_colocation   | id!=id rsc=resource with-rsc=resource score=score ~score-attribute ~score-attribute-mangled node-attribute rsc-role=role with-rsc-role=role ~rsc-instance ~with-rsc-instance influence description | resource_set lifetime rule
rsc_order        | id!=id first=resource then=resource first-action=action then-action=action ~first-instance ~then-instance kind=Optional/Mandatory/Serialize score=score symmetrical=bool require-all=bool description ~from ~to ~type ~action ~to_action | resource_set lifetime rule
rsc_ticket       | id!=id rsc=resource rsc-role=role ticket! loss-policy=stop/demote/fence/freeze description | resource_set lifetime rule
resource_set     | id=id id-ref=ref sequential=bool require-all=bool ordering action=action role=role score=score kind=Optional/Mandatory/Serialize | resource_ref
resource_ref     | id!=resource |
lifetime         | id | rule
rule             | id=id id-ref=ref role=role score=score score-attribute boolean-op=and/or | rule expression date_expression rsc_expression op_expression
expression       | id!=id attribute! operation!=lt/gt/lte/gte/eq/ne/defined/not_defined value type=string/integer/number/version value-source=literal/param/meta |
date_expression  | id!=id operation=in_range/gt/lt/date_spec/eq/neq start end | duration date_spec
date_spec        | id!=id seconds minutes hours monthdays weekdays yearsdays yeardays months weeks years weekyears moon |
duration         | id!=id years months weeks days hours minutes seconds monthdays weekdays yearsdays yeardays weekyears moon |
rsc_expression   | id!=id class provider type |
op_expression    | id!=id name! interval |
fencing-topology | | fencing-level
fencing-level    | id!=id target target-pattern target-attribute target-value index!=positive devices!=devices |
acls             | | acl_role acl_target acl_group ~acl_user
acl_role         | id!=id description | acl_permission ~read ~write ~deny
acl_target       | id!=id name description | role
acl_group        | id!=id name description | role
acl_permission   | id!=id kind!=read/write/deny xpath reference object-type attribute description |
~acl_user        | id!=id | role_ref read write deny
~read            | id!=id tag ref xpath attribute |
~write           | id!=id tag ref xpath attribute |
~deny            | id!=id tag ref xpath attribute |
~role_ref        | id! |
role             | id!=aclrole |
tags             | | tag
tag              | id!=id | obj_ref
obj_ref          | id! |
alerts           | | alert
alert            | id!=id path! description | select meta_attributes instance_attributes recipient
recipient        | id!=id value! description | meta_attributes instance_attributes
select           | | select_attributes select_fencing select_nodes select_resources
select_attributes | | attribute
select_fencing   | | |
select_nodes     | | |
select_resources | | |
attribute        | id!=id name! |
`

// elementRule is one line of the vocabulary.
type elementRule struct {
	attrs    map[string]attrRule
	required []string
	children map[string]bool // the value: only before 3.0
	old      bool
}

type attrRule struct {
	kind  string   // of its value; "" for any text
	words []string // the values allowed, if it is an enumeration
	old   bool     // only before 3.0
}

// vocabulary is vocabularyText by tag.
var vocabulary = func() map[string]elementRule {
	rules := make(map[string]elementRule)
	for line := range strings.Lines(strings.TrimSpace(vocabularyText)) {
		parts := strings.SplitN(line, "|", 3)
		tag, old := strings.CutPrefix(strings.TrimSpace(parts[0]), "~")
		r := elementRule{attrs: make(map[string]attrRule), children: make(map[string]bool), old: old}
		for _, word := range strings.Fields(parts[1]) {
			r.addAttr(word)
		}
		for _, child := range strings.Fields(strings.ReplaceAll(parts[2], "|", "")) {
			child, old := strings.CutPrefix(child, "~")
			r.children[child] = old
		}
		rules[tag] = r
	}
	return rules
}()

func (r *elementRule) addAttr(word string) {
	word, old := strings.CutPrefix(word, "~")
	name, kind, _ := strings.Cut(word, "=")
	name, required := strings.CutSuffix(name, "!")
	a := attrRule{kind: kind, old: old}
	if strings.Contains(kind, "/") {
		a.kind, a.words = "one of", strings.Split(kind, "/")
	}
	r.attrs[name] = a
	if required {
		r.required = append(r.required, name)
	}
}
