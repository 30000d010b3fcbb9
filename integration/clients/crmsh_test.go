package clients

import (
	"os"
	"path/filepath"
)

// crmshText is what an administrator has in a file: an address and something that runs beside it.
const crmshText = `primitive vip IPaddr2 params ip=10.77.0.100 cidr_netmask=24 nic=eth0 op monitor interval=10s timeout=20s
primitive ping ocf:heartbeat:Dummy op monitor interval=10s timeout=20s
group web vip ping
location here web 10: a
property stonith-enabled=false
rsc_defaults resource-stickiness=100
`

// crmsh leads the cluster with crmsh 4.4.1 as Debian ships it.
func (p *play) crmsh() {
	file := filepath.Join(p.n.Dir, "site.crm")
	if err := os.WriteFile(file, []byte(crmshText), 0o600); err != nil {
		p.Fatal(err)
	}
	saved := filepath.Join(p.n.Dir, "saved.crm")
	p.run([]string{crmshPath, "-D", "plain"}, []step{
		{do: "status", says: `Online: \[ a b c \]`},
		{do: "configure load update " + file, ask: wherePing, shows: running + "a"},
		{do: "status", says: `Resource Group: web:\n.*vip.*Started a\n.*ping.*Started a`},
		{do: "configure show", says: `(?s)node 1: a.*primitive ping Dummy.*group web vip ping`},
		{do: "configure verify"},
		{do: "configure save " + saved},
		{do: "configure load replace " + saved, ask: wherePing, shows: running + "a"},
		{do: "configure property no-quorum-policy=freeze", ask: "crm_attribute -t crm_config -n no-quorum-policy -G", shows: `value=freeze`},
		{do: "configure property no-quorum-policy=stop", ask: "crm_attribute -t crm_config -n no-quorum-policy -G", shows: `value=stop`},
		{do: "node show", says: `a\(1\): member`},
		{do: "node standby a", ask: wherePing, shows: running + "[bc]"},
		{do: "node online a", ask: "crm_mon -1", shows: `Online: \[ a b c \]`},
		{do: "resource move web c", ask: wherePing, shows: running + "c"},
		{do: "resource clear web", ask: "cibadmin -Q -o constraints", shows: `^<constraints>\s*<rsc_location id="here"[^>]*/>\s*</constraints>`},
		{do: "resource stop web", ask: wherePing, shows: notRunning},
		{do: "resource start web", ask: wherePing, shows: running},
		{do: "resource ban ping b", ask: "cibadmin -Q -o constraints", shows: `node="b"`},
		{do: "resource clear ping", ask: wherePing, shows: running},
		{do: "resource cleanup ping", says: `Cleaned up ping on a`},
		{do: "resource refresh ping", says: `Cleaned up ping on c`},
		{do: "resource failcount ping show a", says: `name=fail-count-ping\s+value=0`},
		{do: "resource param ping set fake x", ask: "crm_resource -r ping -g fake", shows: `^x\n`},
		{do: "resource meta ping set priority 5", ask: "crm_resource -r ping -m -g priority", shows: `^5\n`},
		{do: "resource restart ping", says: `ordering ping to start`, ask: wherePing, shows: running},
		{do: "node attribute b set rack r1", ask: "crm_attribute -N b -n rack -G", shows: `value=r1`},
		{do: "node maintenance b", ask: "crm_mon -1", shows: `Node b: maintenance`},
		{do: "node ready b", ask: "crm_mon -1", shows: `Online: \[ a b c \]`},
		{do: "resource unmanage ping", ask: "crm_mon -1", shows: `ping.*unmanaged`},
		{do: "resource manage ping", ask: wherePing, shows: running},
		{do: "configure delete here", ask: "cibadmin -Q -o constraints", shows: `<constraints/>`},
	})
}
