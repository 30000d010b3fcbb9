package clients

// pcs leads on with pcs 0.11.5 as Debian ships it, without pcsd. It asks
// corosync.conf, which is not ours, which nodes there are: where it would refuse
// a name for that, it is given --force.
func (p *play) pcs() {
	p.run([]string{pcsPath}, []step{
		{do: "status", says: `Online: \[ a b c \]`},
		{do: "status xml", says: `<node name="a" id="1" online="true"`},
		{do: "resource status", says: `ping.*Started`},
		{do: "config", says: `(?s)Pacemaker Nodes:\n a b c.*Group: web.*Resource: ping`},
		{do: "cluster verify"},
		{do: "quorum status", says: `Quorate:\s+Yes`},
		{do: "property set no-quorum-policy=freeze", ask: "crm_attribute -t crm_config -n no-quorum-policy -G", shows: `value=freeze`},
		{do: "property config", says: `no-quorum-policy: freeze`},
		{do: "property set no-quorum-policy=stop"},
		{do: "node standby a --wait=180", ask: wherePing, shows: running + "[bc]"},
		{do: "node unstandby a --wait=180", ask: "crm_mon -1", shows: `Online: \[ a b c \]`},
		{do: "resource disable web --wait=180", says: `not running on any node`, ask: wherePing, shows: notRunning},
		{do: "resource enable web --wait=180", says: `is running on node`, ask: wherePing, shows: running},
		{do: "resource create extra ocf:heartbeat:Dummy op monitor interval=10s --wait=180", says: `is running on node`},
		{do: "constraint order web then extra"},
		{do: "constraint colocation add extra with web"},
		{do: "constraint location extra prefers a=100 --force"},
		{do: "constraint", says: `(?s)a.*score:100.*start web then start extra.*extra with web`},
		{do: "resource move web c", says: `is running on node 'c'`, ask: wherePing, shows: running + "c"},
		{do: "resource ban extra a", ask: "cibadmin -Q -o constraints", shows: `cli-ban-extra-on-a`},
		{do: "resource clear extra"},
		{do: "resource cleanup extra", says: `Cleaned up extra on a`},
		{do: "resource refresh extra", says: `Cleaned up extra on b`},
		{do: "resource update extra fake=2", ask: "crm_resource -r extra -g fake", shows: `^2\n`},
		{do: "resource meta extra priority=3", ask: "crm_resource -r extra -m -g priority", shows: `^3\n`},
		{do: "resource failcount show", says: `No failcounts`},
		{do: "resource defaults update resource-stickiness=50"},
		{do: "node attribute a site=x", ask: "crm_attribute -N a -n site -G", shows: `value=x`},
		{do: "stonith create fd fence_dummy --force", ask: "cibadmin -Q -o resources", shows: `class="stonith"`},
		{do: "stonith config", says: `class=stonith type=fence_dummy`},
		{do: "resource restart ping", says: `successfully restarted`},
		{do: "resource describe ocf:systole:mysql", says: `ocf:systole:mysql - `},
		{do: "resource delete extra", ask: "crm_resource -l", shows: `ping`},
		{do: "status", says: `ping.*Started`},
	})
}
