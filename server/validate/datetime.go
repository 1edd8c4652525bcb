package validate

// digits reads n digits at the start of text.
func digits(text string, n int) (value int, ok bool) {
	if len(text) < n {
		return 0, false
	}
	for i := range n {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, true
}

var monthDays = [...]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// scanDate reads YYYY, YYYY-MM or YYYY-MM-DD at the start of text and returns how long it is (0:
// no date, or one that the calendar does not have) and how many parts it has.
func scanDate(text string) (n, parts int) {
	year, ok := digits(text, 4)
	if !ok || year == 0 {
		return 0, 0
	}
	if len(text) < 5 || text[4] != '-' {
		return 4, 1
	}
	month, ok := digits(text[5:], 2)
	if !ok || month < 1 || month > 12 {
		return 0, 0
	}
	if len(text) < 8 || text[7] != '-' {
		return 7, 2
	}
	day, ok := digits(text[8:], 2)
	if !ok || day < 1 || day > monthDays[month-1] {
		return 0, 0
	}
	if leap := year%4 == 0 && (year%100 != 0 || year%400 == 0); month == 2 && day == 29 && !leap {
		return 0, 0
	}
	return 10, 3
}

// scanTime reads hh:mm:ss and a fraction at the start of text and returns how long it is, or 0.
// A leap second is allowed, 24:00 is not.
func scanTime(text string) int {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return 0
	}
	hour, ok1 := digits(text, 2)
	minute, ok2 := digits(text[3:], 2)
	second, ok3 := digits(text[6:], 2)
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 60 {
		return 0
	}
	n := 8
	if n < len(text) && text[n] == '.' {
		n++
		for n < len(text) && text[n] >= '0' && text[n] <= '9' {
			n++
		}
		if n == 9 {
			return 0
		}
	}
	return n
}

// isZone is Z, or an offset of at most 14:00.
func isZone(text string) bool {
	if text == "Z" {
		return true
	}
	if len(text) != 6 || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return false
	}
	hour, ok1 := digits(text[1:], 2)
	minute, ok2 := digits(text[4:], 2)
	return ok1 && ok2 && minute <= 59 && (hour <= 13 || hour == 14 && minute == 0)
}

func isDateTime(text string) bool {
	n, parts := scanDate(text)
	if n == 0 || n == len(text) {
		return n > 0
	}
	return parts == 3 && isClock(text[n:])
}

func isInstant(text string) bool {
	n, parts := scanDate(text)
	return parts == 3 && isClock(text[n:])
}

// isClock is T, a time and a zone.
func isClock(text string) bool {
	if text == "" || text[0] != 'T' {
		return false
	}
	n := scanTime(text[1:])
	return n > 0 && isZone(text[1+n:])
}
