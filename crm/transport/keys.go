package transport

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// KeySize is the length of a cluster key in bytes.
const KeySize = 32

// DeriveKey gives the 32-byte key of one purpose from a cluster key (HKDF with
// SHA-256, RFC 5869). Two purposes never share a key; salt may be nil.
func DeriveKey(clusterKey, salt []byte, purpose string) []byte {
	k, err := hkdf.Key(sha256.New, clusterKey, salt, "systole v1 "+purpose, KeySize)
	if err != nil {
		panic("transport: hkdf refuses 32 bytes: " + err.Error()) // only lengths above 255 hashes are refused
	}
	return k
}
