package db

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// MasterKey is the one secret of a deployment: 32 random bytes from which every other key is
// derived (HKDF with SHA-256, RFC 5869), each for one purpose.
type MasterKey [32]byte

// NewMasterKey makes one.
func NewMasterKey() MasterKey {
	var k MasterKey
	rand.Read(k[:])
	return k
}

// ParseMasterKey reads 64 hexadecimal digits; surrounding white space is ignored.
func ParseMasterKey(text string) (MasterKey, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != len(MasterKey{}) {
		return MasterKey{}, errors.New("a master key is 64 hexadecimal digits (make one with: openssl rand -hex 32)")
	}
	return MasterKey(raw), nil
}

// LoadMasterKey reads the key in file. When the file does not exist and create is set, it makes
// a new one, readable by its owner only.
func LoadMasterKey(file string, create bool) (MasterKey, error) {
	text, err := os.ReadFile(file)
	if err == nil {
		return ParseMasterKey(string(text))
	}
	if !create || !errors.Is(err, os.ErrNotExist) {
		return MasterKey{}, fmt.Errorf("master key: %w", err)
	}
	k := NewMasterKey()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return MasterKey{}, fmt.Errorf("master key: %w", err)
	}
	if err := os.WriteFile(file, []byte(hex.EncodeToString(k[:])+"\n"), 0o600); err != nil {
		return MasterKey{}, fmt.Errorf("master key: %w", err)
	}
	return k, nil
}

// Derive returns the 32-byte key for purpose, such as "client secret" or "cursor".
func (k MasterKey) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, k[:], nil, "bulkhead "+purpose, 32)
	if err != nil {
		panic("db: HKDF refused 32 bytes: " + err.Error()) // only a wrong length can do this
	}
	return key
}

// contextKey derives the key number id that contexts are signed with. The database holds the
// padded halves of the same key, where no runtime role can read them.
func (k MasterKey) contextKey(id int32) []byte {
	return k.Derive(fmt.Sprintf("context %d", id))
}

func sign(key, payload []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(payload)
	return mac.Sum(nil)
}
