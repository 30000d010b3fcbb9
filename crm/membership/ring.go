package membership

import (
	"bytes"
	"errors"
	"slices"

	"github.com/hashicorp/memberlist"

	"systole/crm/transport"
)

// gossipPurpose keeps gossip's keys apart from those of beats.
const gossipPurpose = "gossip"

// derive gives memberlist's AES-256 keys for cluster keys, in order. memberlist
// draws its nonces at random, so one key is good for about 2³² packets (NIST SP
// 800-38D, 8.3): sixteen nodes send that many in some months, which is why
// status asks for a rotation after a while. Gossip carries no secrets.
func derive(clusterKeys [][]byte) ([][]byte, error) {
	if len(clusterKeys) == 0 {
		return nil, errors.New("cluster key is missing")
	}
	var keys [][]byte
	for _, k := range clusterKeys {
		keys = append(keys, transport.DeriveKey(k, nil, gossipPurpose))
	}
	return keys, nil
}

func newRing(clusterKeys [][]byte) (*memberlist.Keyring, error) {
	keys, err := derive(clusterKeys)
	if err != nil {
		return nil, err
	}
	return memberlist.NewKeyring(keys, keys[0])
}

// setRing installs what is new, uses the first and removes the rest, so that at
// no moment a packet under a key in both sets is refused.
func setRing(ring *memberlist.Keyring, clusterKeys [][]byte) error {
	keys, err := derive(clusterKeys)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := ring.AddKey(k); err != nil {
			return err
		}
	}
	if err := ring.UseKey(keys[0]); err != nil {
		return err
	}
	for _, k := range ring.GetKeys() {
		if !slices.ContainsFunc(keys, func(w []byte) bool { return bytes.Equal(k, w) }) {
			if err := ring.RemoveKey(k); err != nil {
				return err
			}
		}
	}
	return nil
}
