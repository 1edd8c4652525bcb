package login

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// sealer encrypts the secrets of second factors at rest: AES-256-GCM, bound to the tenant and person
// that the secret is for, so that a row copied to another person opens to nothing.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

func (s *sealer) seal(tenant int32, person string, secret []byte) []byte {
	return s.aead.Seal(nil, nil, secret, sealedFor(tenant, person))
}

func (s *sealer) open(tenant int32, person string, sealed []byte) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, sealedFor(tenant, person))
}

func sealedFor(tenant int32, person string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(tenant)), person...)
}
