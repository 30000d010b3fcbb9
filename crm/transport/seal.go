package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
)

// A sealed datagram is
//
//	channel 1 | salt 16 | nonce 12 | AES-256-GCM(payload) | tag 16
//
// under the key DeriveKey(cluster key, salt, "beat"), with the channel as
// additional data. The salt is drawn anew by every sealer, so no two processes
// share a key; the nonce is 32 random bits and a 64-bit counter that starts at
// zero. Within one process a nonce cannot come twice. Even if a virtual machine
// is resumed twice from one snapshot, which repeats the counter, the random half
// differs but for one chance in 2³². One key per process keeps the limit of
// 2³² messages for randomly drawn nonces (NIST SP 800-38D, 8.3) away: a shared
// key would reach it in weeks.
//
// There is no replay window, since replay is harmless by protocol: a lease is
// counted from the beat's own sending, which the grant only echoes, and older
// terms and sequences are ignored (crm/lease/DESIGN.md).
const (
	saltSize     = 16
	nonceSize    = 12
	tagSize      = 16
	sealOverhead = saltSize + nonceSize + tagSize
)

const beatPurpose = "beat"

// sealer seals with one key of its own. Safe for concurrent use.
type sealer struct {
	salt  [saltSize]byte
	aead  cipher.AEAD
	count atomic.Uint64
}

func newSealer(clusterKey []byte) *sealer {
	s := &sealer{}
	rand.Read(s.salt[:]) // never fails (crypto/rand)
	s.aead = newAEAD(clusterKey, s.salt[:])
	return s
}

// seal appends the sealed payload to head, which is authenticated with it.
func (s *sealer) seal(head, payload []byte) []byte {
	var nonce [nonceSize]byte
	rand.Read(nonce[:4])
	binary.BigEndian.PutUint64(nonce[4:], s.count.Add(1)-1)
	out := append(head, s.salt[:]...)
	out = append(out, nonce[:]...)
	return s.aead.Seal(out, nonce[:], payload, head)
}

// opener opens what any holder of one of its keys sealed. Not safe for
// concurrent use: the datagram reader owns it.
type opener struct {
	keys  [][]byte
	known map[[saltSize]byte]cipher.AEAD
}

// maxKnown bounds the keys remembered by salt. Only a datagram that opened adds
// one, so strangers cannot fill it; a cluster has one sender per node and restart.
const maxKnown = 1024

func newOpener(keys [][]byte) *opener {
	return &opener{keys, map[[saltSize]byte]cipher.AEAD{}}
}

// open gives the payload of what follows head in a datagram.
func (o *opener) open(head, sealed []byte) (payload []byte, ok bool) {
	if len(sealed) < sealOverhead {
		return nil, false
	}
	salt := [saltSize]byte(sealed)
	nonce, box := sealed[saltSize:saltSize+nonceSize], sealed[saltSize+nonceSize:]
	if aead := o.known[salt]; aead != nil {
		payload, err := aead.Open([]byte{}, nonce, box, head)
		return payload, err == nil
	}
	for _, k := range o.keys {
		aead := newAEAD(k, salt[:])
		if payload, err := aead.Open([]byte{}, nonce, box, head); err == nil {
			if len(o.known) >= maxKnown {
				clear(o.known)
			}
			o.known[salt] = aead
			return payload, true
		}
	}
	return nil, false
}

func newAEAD(clusterKey, salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(DeriveKey(clusterKey, salt, beatPurpose))
	if err != nil {
		panic("transport: aes refuses 32 bytes: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("transport: gcm refuses aes: " + err.Error())
	}
	return aead
}
