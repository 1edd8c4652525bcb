package login

import (
	_ "embed"
	"sort"
	"strings"
)

// breachedList holds some 23,000 of the passwords found most often in published breaches, folded to
// lower case, sorted by byte, one a line. It is cut from the list of @zxcvbn-ts/language-common 4.1.3
// (MIT, see breached.LICENSE): every one of 8 characters or more, and of the shorter ones the most
// frequent, which serve to take longer ones apart.
//
//go:embed breached.txt
var breachedList string

// breached tells whether a password is in the list, or is two entries of the list put together:
// "password" + "12345678" is no better than its halves.
func breached(password string) bool {
	folded := strings.ToLower(password)
	if listed(folded) {
		return true
	}
	for i := 1; i < len(folded); i++ {
		if listed(folded[:i]) && listed(folded[i:]) {
			return true
		}
	}
	return false
}

// listed searches for a whole line by halving the text, which needs no memory beside it.
func listed(word string) bool {
	line := func(at int) string {
		start := strings.LastIndexByte(breachedList[:at], '\n') + 1
		end := strings.IndexByte(breachedList[start:], '\n')
		return breachedList[start : start+end]
	}
	at := sort.Search(len(breachedList), func(at int) bool { return line(at) >= word })
	return word != "" && at < len(breachedList) && line(at) == word
}
