package cib

import "testing"

// One document in the vocabulary of Heartbeat 2, and what it is today.
func TestUpgradeAncient(t *testing.T) {
	old := mustParse(t, `<cib admin_epoch="0" epoch="1" num_updates="1" have_quorum="true">
 <configuration>
  <crm_config><cluster_property_set id="opts"><attributes>
   <nvpair id="o1" name="symmetric_cluster" value="true"/>
   <nvpair id="o2" name="default_resource_stickiness" value="100"/>
   <nvpair id="o3" name="short_resource_names" value="true"/>
  </attributes></cluster_property_set></crm_config>
  <nodes><node id="n1" uname="a" type="normal"><instance_attributes id="ni"><attributes><nvpair id="ni1" name="standby" value="off"/></attributes></instance_attributes></node></nodes>
  <resources>
   <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr" is_managed="default" multiple_active="block">
    <operations><op id="ipm" name="monitor" interval="5s" on_fail="stop" prereq="nothing"/><op id="ips" name="start" prereq="quorum"/></operations>
    <instance_attributes id="ipa"><attributes><nvpair id="ipa1" name="ip" value="10.0.0.1"/><nvpair id="ipa2" name="target_role" value="started"/></attributes></instance_attributes>
   </primitive>
   <master_slave id="ms" notify="true"><instance_attributes id="msa"><attributes><nvpair id="msa1" name="clone_max" value="2"/></attributes></instance_attributes>
    <primitive id="d" class="ocf" provider="heartbeat" type="drbd"/></master_slave>
   <unknown id="u"/>
  </resources>
  <constraints>
   <rsc_colocation id="c" from="ip" to="ms" to_role="master" score="INFINITY"/>
   <rsc_order id="o" from="ip" action="start" to="ms" to_action="promote"/>
   <rsc_order id="ob" from="ms" type="before" to="ip"/>
   <rsc_location id="l" rsc="ip"><rule id="r" score="100" boolean_op="or"><expression id="e" attribute="#uname" operation="eq" value="a"/></rule></rsc_location>
  </constraints>
 </configuration>
 <status/>
</cib>`)
	want := mustParse(t, `<cib admin_epoch="0" epoch="1" num_updates="1" have_quorum="true" validate-with="pacemaker-3.9">
 <configuration>
  <crm_config><cluster_property_set id="opts"><nvpair id="o1" name="symmetric-cluster" value="true"/></cluster_property_set></crm_config>
  <nodes><node id="n1" uname="a" type="member"><instance_attributes id="ni"><nvpair id="ni1" name="standby" value="off"/></instance_attributes></node></nodes>
  <resources>
   <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr">
    <meta_attributes id="ip-meta_attributes"><nvpair id="ip-meta_attributes-multiple-active" name="multiple-active" value="block"/>
     <nvpair id="ip-meta_attributes-target-role" name="target-role" value="started"/><nvpair id="ip-meta_attributes-requires" name="requires" value="quorum"/></meta_attributes>
    <operations><op id="ipm" name="monitor" interval="5s" on-fail="stop"/><op id="ips" name="start" interval="0"/></operations>
    <instance_attributes id="ipa"><nvpair id="ipa1" name="ip" value="10.0.0.1"/></instance_attributes>
   </primitive>
   <clone id="ms"><meta_attributes id="ms-meta_attributes"><nvpair id="ms-meta_attributes-notify" name="notify" value="true"/>
     <nvpair id="ms-meta_attributes-clone-max" name="clone-max" value="2"/><nvpair id="ms-meta_attributes-promotable" name="promotable" value="true"/></meta_attributes>
    <primitive id="d" class="ocf" provider="heartbeat" type="drbd"/></clone>
   <unknown id="u"/>
  </resources>
  <constraints>
   <rsc_colocation id="c" score="INFINITY" rsc="ip" with-rsc="ms" with-rsc-role="Master"/>
   <rsc_order id="o" first="ms" then="ip" first-action="promote" then-action="start"/>
   <rsc_order id="ob" first="ms" then="ip"/>
   <rsc_location id="l" rsc="ip"><rule id="r" score="100" boolean-op="or"><expression id="e" attribute="#uname" operation="eq" value="a"/></rule></rsc_location>
  </constraints>
  <rsc_defaults><meta_attributes id="rsc_defaults-options"><nvpair id="o2" name="resource-stickiness" value="100"/></meta_attributes></rsc_defaults>
 </configuration>
 <status/>
</cib>`)
	got, notes, err := Upgrade(old)
	if err != nil || len(notes) == 0 {
		t.Fatalf("%v, notes %v", err, notes)
	}
	if !Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, p := range Errors(Validate(got)) {
		if p.Msg != "<unknown> has no place in <resources>" && p.Msg != "<cib> has no attribute have_quorum: remove it" {
			t.Errorf("upgraded and not valid: %s", p)
		}
	}
}

func TestUpgradeACL(t *testing.T) {
	old := inSection(t, "configuration", `<acls><acl_role id="monitor"><read id="m1" xpath="/cib"/></acl_role>
		<acl_user id="u1"><role_ref id="monitor"/></acl_user><acl_user id="u2"><write id="w1" ref="p"/><deny id="w2" tag="acls"/></acl_user></acls>`).With("validate-with", "pacemaker-1.2")
	want := inSection(t, "configuration", `<acls><acl_role id="monitor"><acl_permission id="m1" kind="read" xpath="/cib"/></acl_role>
		<acl_target id="u1"><role id="monitor"/></acl_target>
		<acl_role id="acl_role-u2"><acl_permission id="w1" kind="write" reference="p"/><acl_permission id="w2" kind="deny" object-type="acls"/></acl_role>
		<acl_target id="u2"><role id="acl_role-u2"/></acl_target></acls>`)
	got, _, err := Upgrade(old)
	if err != nil || !Equal(got, want) {
		t.Errorf("%v\ngot\n%s\nwant\n%s", err, got, want)
	}
	if errs := Errors(Validate(got)); len(errs) > 0 {
		t.Errorf("not valid: %v", errs)
	}
}

func TestUpgradeKeepsWhatIsCurrent(t *testing.T) {
	root := inSection(t, "resources", "")
	if got, notes, err := Upgrade(root); got != root || len(notes) > 0 || err != nil {
		t.Errorf("%v %v", notes, err)
	}
	if _, _, err := Upgrade(root.With("validate-with", "novel")); err == nil {
		t.Error("an unknown schema was upgraded")
	}
	if _, _, err := Upgrade(New("diff")); err == nil {
		t.Error("a <diff> was upgraded")
	}
}

// FuzzUpgrade: any document upgrades without panic, once, and nothing is invented twice.
func FuzzUpgrade(f *testing.F) {
	for _, seed := range []string{
		`<cib><configuration><crm_config><nvpair id="n" name="default_resource_stickiness" value="1"/></crm_config><resources><master_slave id="m" clone_max="2"><primitive id="p" class="ocf"><instance_attributes id="i"><attributes><nvpair id="t" name="target_role" value="started"/></attributes></instance_attributes></primitive></master_slave></resources></configuration></cib>`,
		`<cib validate-with="pacemaker-1.2"><configuration><acls><acl_user id="u"><read id="r" tag="op"/></acl_user></acls><resources><primitive id="p"><operations><op id="o" name="start" requires="quorum"/></operations></primitive></resources></configuration></cib>`,
		`<cib validate-with="transitional-0.6"><configuration><constraints><rsc_order id="o" from="a" to="b" action="promote" type="before"/><rsc_colocation id="c" from="a" to="b"/></constraints></configuration></cib>`,
		`<cib validate-with="pacemaker-3.9"><configuration><resources><master id="m"/></resources></configuration></cib>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := Parse(doc)
		if err != nil {
			return
		}
		before := root.String()
		upgraded, _, err := Upgrade(root)
		if err != nil {
			return
		}
		if root.String() != before {
			t.Fatalf("%s changed its input", doc)
		}
		if again, notes, err := Upgrade(upgraded); err != nil || again != upgraded {
			t.Fatalf("%s upgraded twice: %v %v\n%s\n%s", doc, notes, err, upgraded, again)
		}
		Validate(upgraded)
	})
}
