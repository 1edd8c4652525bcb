package login

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// TestPagesAreAccessible holds what a machine can see of WCAG 2.2 on every page and in its state of
// error: language, one heading of the first level, a title, a label for each field, no attribute
// twice, nothing that needs a script.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.person(s.project.Tenant, "u1", "ada@example.org", RoleAdmin)
	s.person(s.project.Tenant, "u2", "eve@example.org", RoleAdmin)
	in, half, fresh := s.browser(), s.browser(), s.browser()
	in.signIn("ada@example.org").leads(s, "/account")
	fresh.signIn("eve@example.org").leads(s, "/account")
	made, err := s.newLink(t.Context(), s.project.Tenant, invitationLink, "eve@example.org", "")
	if err != nil {
		t.Fatal(err)
	}
	invitation := "/login/invitation?code=" + made.secret
	pages := map[string]answer{
		"sign-in":               s.browser().get("/login"),
		"sign-in, wrong":        s.browser().fill("/login", "/login", "email", "x@example.org", "password", "x"),
		"set-up":                fresh.get("/login/setup"),
		"set-up, wrong":         fresh.fill("/login/setup", "/login/setup", "code", "000000"),
		"reset":                 s.browser().get("/login/reset"),
		"reset, wrong":          s.browser().fill("/login/reset", "/login/reset", "email", "x"),
		"reset, sent":           s.browser().get("/login/reset?sent=1"),
		"invitation":            s.browser().get(invitation),
		"invitation, too short": s.browser().fill(invitation, "/login/invitation", "password", "x"),
		"dead link":             s.browser().get("/login/password?code=x"),
		"account":               in.get("/account"),
		"account, wrong":        in.fill("/account", "/account/password", "current", "x"),
		"forged":                in.do(http.MethodPost, "/account/password", url.Values{}),
	}
	in.setUp()
	pages["account with a second factor"] = in.get("/account")
	pages["account with a second factor, wrong"] = in.fill("/account", "/account/recovery-codes", "current", "x")
	pages["recovery codes"] = in.fill("/account", "/account/recovery-codes", "current", goodPassword)
	half.signIn("ada@example.org").leads(s, "/login/code")
	pages["code"] = half.get("/login/code")
	pages["code, wrong"] = half.fill("/login/code", "/login/code", "code", "000000")
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document, err := html.Parse(strings.NewReader(page.text))
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range look(document) {
				t.Error(problem)
			}
			if wrong := strings.HasSuffix(name, "wrong") || strings.HasSuffix(name, "short"); wrong != strings.Contains(page.text, "<title>Error: ") || wrong != strings.Contains(page.text, `aria-invalid="true"`) {
				t.Error("the error is not told, or told without there being one")
			}
		})
	}
	// The parser drops an attribute that comes twice, so this looks at the text.
	twice := regexp.MustCompile(`<[^>]*\s(aria-describedby|autofocus|id|name|value)\b[^>]*\s(aria-describedby|autofocus|id|name|value)\b[^>]*>`)
	for name, page := range pages {
		for _, tag := range twice.FindAllString(page.text, -1) {
			for _, attribute := range []string{" aria-describedby=", " autofocus", " id=", " name=", " value="} {
				if strings.Count(tag, attribute) > 1 {
					t.Errorf("%s: twice%s in %s", name, attribute, tag)
				}
			}
		}
	}
}

// look walks a page and says what is wrong with it.
func look(document *html.Node) (problems []string) {
	count := map[string]int{}
	labels, ids, described := map[string]bool{}, map[string]bool{}, []string{}
	var fields []string
	for node := range document.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		attribute := map[string]string{}
		for _, a := range node.Attr {
			attribute[a.Key] = a.Val
		}
		count[node.Data]++
		if id := attribute["id"]; id != "" {
			if ids[id] {
				problems = append(problems, "the id "+id+" is there twice")
			}
			ids[id] = true
		}
		described = append(described, strings.Fields(attribute["aria-describedby"]+" "+attribute["aria-labelledby"])...)
		_, isHidden := attribute["hidden"]
		switch {
		case node.Data == "html" && attribute["lang"] != "en":
			problems = append(problems, "no language")
		case node.Data == "label":
			labels[attribute["for"]] = true
		case node.Data == "input" && attribute["type"] != "hidden" && !isHidden:
			fields = append(fields, attribute["id"])
			if attribute["autocomplete"] == "" {
				problems = append(problems, "no autocomplete on "+attribute["id"])
			}
		case node.Data == "script" || node.Data == "style" || attribute["style"] != "":
			problems = append(problems, "something inline")
		case node.Data == "img" && attribute["src"] == "":
			problems = append(problems, "a picture without a source")
		}
	}
	for _, element := range []string{"h1", "main", "header", "title"} {
		if count[element] != 1 {
			problems = append(problems, fmt.Sprintf("%d of %s", count[element], element))
		}
	}
	for _, id := range fields {
		if !labels[id] {
			problems = append(problems, "no label for "+id)
		}
	}
	for _, id := range described {
		if !ids[id] {
			problems = append(problems, "a description is missing: "+id)
		}
	}
	return problems
}

// TestContrast computes the contrast of text and of the borders of fields in both schemes (WCAG 2.2,
// 1.4.3 and 1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	pages, err := parsePages()
	if err != nil {
		t.Fatal(err)
	}
	schemes := strings.SplitN(string(pages.style.content), "@media (prefers-color-scheme: dark)", 2)
	for i, scheme := range schemes {
		color := map[string]float64{}
		for _, match := range regexp.MustCompile(`--([\w-]+): #(\w{6});`).FindAllStringSubmatch(scheme, -1) {
			color[match[1]] = luminance(match[2])
		}
		for _, pair := range []struct {
			text, back string
			least      float64
		}{
			{"text", "card", 7},
			{"text", "page", 7},
			{"soft", "card", 4.5},
			{"soft", "page", 4.5},
			{"strong", "card", 4.5},
			{"strong", "page", 4.5},
			{"strong-over", "page", 4.5},
			{"on-strong", "strong", 4.5},
			{"on-strong", "strong-over", 4.5},
			{"bad", "bad-back", 4.5},
			{"bad", "card", 4.5},
			{"good", "good-back", 4.5},
			{"line", "card", 3},
			{"focus", "card", 3},
			{"focus", "page", 3},
		} {
			light, dark := max(color[pair.text], color[pair.back]), min(color[pair.text], color[pair.back])
			if ratio := (light + 0.05) / (dark + 0.05); ratio < pair.least {
				t.Errorf("scheme %d: %s on %s: %.2f, want %.1f", i, pair.text, pair.back, ratio, pair.least)
			}
		}
	}
}

func luminance(hex string) float64 {
	var r, g, b uint8
	_, _ = fmt.Sscanf(hex, "%02x%02x%02x", &r, &g, &b)
	linear := func(c uint8) float64 {
		v := float64(c) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.browser()
	page := b.get("/login")
	match := regexp.MustCompile(`<link rel="stylesheet" href="(/assets/[0-9a-f]{16}\.css)" integrity="sha384-`).FindStringSubmatch(page.text)
	if match == nil {
		t.Fatal(page.text)
	}
	style := b.get(s.config.BaseURL + match[1])
	if style.StatusCode != http.StatusOK || style.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(style.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("got %d, %v", style.StatusCode, style.Header)
	}
	if got := b.get(s.config.BaseURL + "/assets/0000000000000000.css").StatusCode; got != http.StatusNotFound {
		t.Errorf("got %d", got)
	}
}
