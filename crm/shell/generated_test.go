package shell

import (
	"os"
	"testing"
)

// TestGenerated: what is installed was made from the tree as it is now.
func TestGenerated(t *testing.T) {
	files := map[string]string{"crm.8": manual(tree()), "crm.bash": completionScripts["bash"], "crm.zsh": completionScripts["zsh"], "crm.fish": completionScripts["fish"]}
	for name, want := range files {
		got, err := os.ReadFile("../../conf/generated/" + name)
		if err != nil || string(got) != want {
			t.Errorf("conf/generated/%s is not what the commands say (%v): run make gen", name, err)
		}
	}
}
