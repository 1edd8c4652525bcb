package search

import (
	"encoding/binary"
	"encoding/json"
	"errors"
)

// Position is a place between two rows of a search: behind the row with this key and rid.
type Position struct {
	Keys []*string
	RID  int64
}

// Place writes the position behind a row, given the columns key and rid of Search.Page. It is
// neither secret nor signed: package server seals it, together with tenant, project, caller and
// query, into the cursor that a client gets.
func Place(key string, rid int64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(rid)), key...)
}

var errPlace = errors.New("search: this is no place in a search")

// ParsePlace reads what Place wrote.
func ParsePlace(place []byte) (*Position, error) {
	if len(place) < 8 {
		return nil, errPlace
	}
	p := &Position{RID: int64(binary.BigEndian.Uint64(place))}
	if key := place[8:]; len(key) > 0 {
		if err := json.Unmarshal(key, &p.Keys); err != nil {
			return nil, errPlace
		}
	}
	return p, nil
}
