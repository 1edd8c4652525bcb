package login

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"html/template"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

//go:embed pages
var pageFiles embed.FS

// pages are the parsed templates, by name, and what they load.
type pages struct {
	byName      map[string]*template.Template
	style, icon asset
}

// asset is a file whose path names its content, so that a browser may keep it for good.
type asset struct {
	path, contentType, integrity string
	content                      []byte
}

// loadAsset reads a file; name is its name in pages and ext how the path ends.
func loadAsset(name, ext, contentType string) (asset, error) {
	content, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		return asset{}, err
	}
	short, long := sha256.Sum256(content), sha512.Sum384(content)
	return asset{
		path: "/assets/" + hex.EncodeToString(short[:8]) + ext, contentType: contentType,
		integrity: "sha384-" + base64.StdEncoding.EncodeToString(long[:]), content: content,
	}, nil
}

func (a asset) serve(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	return c.Blob(http.StatusOK, a.contentType, a.content)
}

var pageNames = []string{"signin", "code", "setup", "codes", "reset", "password", "account", "consent", "error"}

func parsePages() (pages, error) {
	p := pages{byName: map[string]*template.Template{}}
	frame, err := template.ParseFS(pageFiles, "pages/frame.html")
	if err != nil {
		return p, err
	}
	for _, name := range pageNames {
		page, err := frame.Clone()
		if err == nil {
			page, err = page.ParseFS(pageFiles, "pages/"+name+".html")
		}
		if err != nil {
			return p, err
		}
		p.byName[name] = page
	}
	if p.style, err = loadAsset("style.css", ".css", "text/css; charset=utf-8"); err != nil {
		return p, err
	}
	p.icon, err = loadAsset("icon.svg", ".svg", "image/svg+xml")
	return p, err
}

// view is what a template sees.
type view struct {
	visit *visit
	Title string
	Error string // what is wrong with what was typed; "" when nothing is
	Field string // the name of the field that it is about, which gets the focus
	Done  string // what was done just now
	Wide  bool   // more than one form
	Data  any
}

// Tenant is the tenant's name, or the program's where there is no tenant.
func (p view) Tenant() string {
	if p.visit.tenant.TenantName == "" {
		return "Bulkhead"
	}
	return p.visit.tenant.TenantName
}

// HasTenant tells whether the page is one of a tenant.
func (p view) HasTenant() bool { return p.visit.tenant.Tenant != 0 }

// URL is the URL path of a page of the tenant.
func (p view) URL(path string) string { return "/w/" + p.visit.tenant.TenantSlug + path }

// Token is the hidden field that makes a form sent to path count.
func (p view) Token(path string) template.HTML {
	return template.HTML(`<input type="hidden" name="form" value="` + p.visit.token(path) + `">`) // safe: base64url
}

// Style is the stylesheet.
func (p view) Style() string { return p.visit.server.pages.style.path }

// Integrity is the hash that the stylesheet must have.
func (p view) Integrity() string { return p.visit.server.pages.style.integrity }

// Icon is the icon.
func (p view) Icon() string { return p.visit.server.pages.icon.path }

// Invalid gives the attributes of an input: the hint that describes it, if any, and when the error is
// about it, that it is, where to read it, and the focus.
func (p view) Invalid(field string, hint ...string) template.HTMLAttr {
	described := strings.Join(hint, " ")
	wrong := p.Error != "" && p.Field == field
	if wrong {
		described = strings.TrimSpace("error " + described)
	}
	attributes := ""
	if described != "" {
		attributes = `aria-describedby="` + described + `"`
	}
	if wrong {
		attributes += ` aria-invalid="true" autofocus`
	}
	return template.HTMLAttr(attributes) // safe: made of names in the templates
}

// Note repeats the error at the field that it is about, for pages that are longer than the window.
// It is hidden from screen readers, which have read it at the top.
func (p view) Note(field string) template.HTML {
	if p.Error == "" || p.Field != field {
		return ""
	}
	return template.HTML(`<p class="field-error" aria-hidden="true">` + template.HTMLEscapeString(p.Error) + `</p>`)
}

// Focus gives the focus to the first field, unless an error wants it elsewhere.
func (p view) Focus() template.HTMLAttr {
	if p.Error != "" {
		return ""
	}
	return "autofocus"
}

// show renders a page. Nothing is sent when that fails.
func (v *visit) show(status int, name string, p view) error {
	p.visit = v
	var b bytes.Buffer
	if err := v.server.pages.byName[name].ExecuteTemplate(&b, "frame", p); err != nil {
		return err
	}
	if v.Request().Method == http.MethodHead {
		return v.NoContent(status)
	}
	return v.HTMLBlob(status, b.Bytes())
}

// errorPage shows what went wrong when there is no form to show it in.
func (v *visit) errorPage(status int, title, text string) error {
	return v.show(status, "error", view{Title: title, Data: text})
}
