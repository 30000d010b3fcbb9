package status

import "testing"

// A witness is left alone, with fencing or without, whatever standby says.
func TestWitness(t *testing.T) {
	for _, options := range []string{noFencing, ""} {
		s := Unpack(document(t, doc{options: options, resources: dummy, nodes: `<node id="1" uname="a"/>` +
			`<node id="2" uname="b"><instance_attributes id="w"><nvpair id="w1" name="witness" value="true"/><nvpair id="w2" name="standby" value="off"/></instance_attributes></node>`}), testNow)
		for _, n := range s.Nodes {
			if witness := n.Name == "b"; !n.Online || n.DiscoveryOff != witness || n.Standby != witness {
				t.Errorf("options %q: %s: online %v, no discovery %v, standby %v", options, n.Name, n.Online, n.DiscoveryOff, n.Standby)
			}
		}
	}
}
