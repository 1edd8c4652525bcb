package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// How long a password must be at least, in characters: NIST SP 800-63B-4 section 3.1.1.2 asks for 15
// where it is all that is asked for, and for 8 where a second factor is. Nothing is asked of its
// composition, and it never expires.
const (
	MinPassword             = 15
	MinPasswordSecondFactor = 8
	maxPassword             = 256
)

// PasswordError says, in words for the person, why a password cannot be had.
type PasswordError struct{ Reason string }

func (e *PasswordError) Error() string { return e.Reason }

// minPassword is the least length for somebody who does, or does not, need a second factor.
func minPassword(secondFactor bool) int {
	if secondFactor {
		return MinPasswordSecondFactor
	}
	return MinPassword
}

// checkPassword holds a new password against the rules. about is what a guesser knows of the person.
func checkPassword(password string, secondFactor bool, about ...string) error {
	least := minPassword(secondFactor)
	password = norm.NFKC.String(password)
	length := utf8.RuneCountInString(password)
	switch {
	case !utf8.ValidString(password):
		return &PasswordError{"The password holds bytes that are no characters."}
	case length < least:
		return &PasswordError{fmt.Sprintf("The password needs at least %d characters. Several words are easy to remember and fine.", least)}
	case length > maxPassword:
		return &PasswordError{fmt.Sprintf("The password can have at most %d characters.", maxPassword)}
	case breached(password):
		return &PasswordError{"This password is among those that are guessed first. Please choose another."}
	case tooSimple(password, about):
		return &PasswordError{"This password is too easy to guess: it repeats itself, runs along the keyboard or is made of your name or address. Please choose another."}
	}
	return nil
}

// NewPassword makes a password of 120 random bits, for an administrator to hand on.
func NewPassword() string { return randomWord(15) }

// tooSimple finds passwords that have hardly anything in them but repetition, sequences and what is
// known of the person.
func tooSimple(password string, about []string) bool {
	folded := strings.ToLower(password)
	for _, text := range append(about, "bulkhead") {
		for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" @.-_+", r) }) {
			if utf8.RuneCountInString(word) >= 3 {
				folded = strings.ReplaceAll(folded, word, "")
			}
		}
	}
	distinct := map[rune]bool{}
	steps := 0 // characters that do not simply follow from the one before
	previous := rune(-10)
	for _, r := range folded {
		distinct[r] = true
		if d := r - previous; d < -1 || d > 1 {
			steps++
		}
		previous = r
	}
	return len(distinct) < 5 || steps < 5
}

// hasher makes and checks password hashes: argon2id (RFC 9106) over an HMAC of the password, whose
// key is not in the database. A stolen table is useless without it.
type hasher struct {
	pepper []byte
	memory uint32 // KiB
	passes uint32
	slots  chan struct{} // bounds the memory that guessers can make the server use
	worked func()        // told of each derivation; for the test of equal work
}

// The cost is the first that OWASP's Password Storage Cheat Sheet names: 46 MiB and one pass.
const (
	hashMemory = 46 << 10
	hashPasses = 1
	hashLength = 32
)

func newHasher(pepper []byte) *hasher {
	return &hasher{
		pepper: pepper, memory: hashMemory, passes: hashPasses,
		slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), worked: func() {},
	}
}

func (h *hasher) derive(ctx context.Context, password string, salt []byte, memory, passes uint32) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.worked()
	mac := hmac.New(sha256.New, h.pepper)
	mac.Write([]byte(norm.NFKC.String(password)))
	return argon2.IDKey(mac.Sum(nil), salt, passes, memory, 1, hashLength), nil
}

// hash returns the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the program instead
	key, err := h.derive(ctx, password, salt, h.memory, h.passes)
	if err != nil {
		return "", err
	}
	return h.head() + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(key), nil
}

func (h *hasher) head() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$", argon2.Version, h.memory, h.passes)
}

var errPasswordHash = errors.New("login: a stored password hash is malformed")

// verify tells whether password is the one that was hashed, and whether the hash has another cost
// than new ones have. With stored "" it does the same work and says no, so that a person without a
// password takes as long as one with a wrong one.
func (h *hasher) verify(ctx context.Context, stored, password string) (match, stale bool, err error) {
	if len(password) > 4*maxPassword { // bounds the work; nobody has a longer one
		password = ""
	}
	if stored == "" {
		_, err := h.derive(ctx, password, make([]byte, 16), h.memory, h.passes)
		return false, false, err
	}
	parts := strings.Split(stored, "$")
	if len(parts) != 6 {
		return false, false, errPasswordHash
	}
	var memory, passes uint32
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &memory, &passes); err != nil {
		return false, false, errPasswordHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) != hashLength {
		return false, false, errPasswordHash
	}
	got, err := h.derive(ctx, password, salt, memory, passes)
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, !strings.HasPrefix(stored, h.head()), nil
}
