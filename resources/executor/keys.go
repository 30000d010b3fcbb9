package executor

import "slices"

// keyRing remembers the newest orders' keys, so that a repeated one is known.
type keyRing struct {
	known map[string]bool
	order []string
}

const keysKept = 4096 // several transitions of a large cluster

func (k *keyRing) has(id, key string) bool { return key != "" && k.known[id+"\x00"+key] }

func (k *keyRing) add(id, key string) {
	if key == "" || k.has(id, key) {
		return
	}
	name := id + "\x00" + key
	k.known[name] = true
	k.order = append(k.order, name)
	if len(k.order) > keysKept {
		delete(k.known, k.order[0])
		k.order = slices.Delete(k.order, 0, 1)
	}
}
