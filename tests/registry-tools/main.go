// Command registry-tools is a registry for tests, and a client of registries that others wrote: the code of crane.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const usage = `usage: registry-tools serve [FLAGS]
       registry-tools push [FLAGS] REF FILE MEDIA-TYPE CONFIG-TYPE
       registry-tools list [FLAGS] REF OTHER-REF...
       registry-tools attach [FLAGS] REF FILE MEDIA-TYPE
       registry-tools pull [FLAGS] REF OUT
       registry-tools referrers [FLAGS] REF
       registry-tools image [FLAGS] REF LAYOUT`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type client struct {
	ca, login string
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	if args[0] == "serve" {
		return serve(args[1:])
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	var client client
	flags.StringVar(&client.ca, "ca", "", "whom to trust, PEM")
	flags.StringVar(&client.login, "login", "", "NAME:PASSWORD")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	rest := flags.Args()
	options, err := client.options()
	if err != nil {
		return err
	}
	switch {
	case args[0] == "push" && len(rest) == 4:
		return push(rest[0], rest[1], rest[2], rest[3], options)
	case args[0] == "list" && len(rest) > 1:
		return list(rest[0], rest[1:], options)
	case args[0] == "attach" && len(rest) == 3:
		return attach(rest[0], rest[1], rest[2], options)
	case args[0] == "pull" && len(rest) == 2:
		return pull(rest[0], rest[1], options)
	case args[0] == "referrers" && len(rest) == 1:
		return referrers(rest[0], options)
	case args[0] == "image" && len(rest) == 2:
		return image(rest[0], rest[1], options)
	}
	return errors.New(usage)
}

// serve prints HOST:PORT and serves until it is ended.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	disk := flags.String("disk", "", "folder of blobs")
	listed := flags.Bool("referrers", false, "list referrers")
	basic := flags.String("basic", "", "NAME:PASSWORD")
	bearer := flags.String("bearer", "", "NAME:PASSWORD, for which /token gives a token")
	cert := flags.String("cert", "", "PEM")
	key := flags.String("key", "", "PEM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options := []registry.Option{
		registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(*listed),
	}
	if *disk != "" {
		options = append(options, registry.WithBlobHandler(registry.NewDiskBlobHandler(*disk)))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	scheme := "http"
	if *cert != "" {
		scheme = "https"
	}
	handler := registry.New(options...)
	if *basic != "" {
		handler = asksBasic(handler, *basic)
	}
	if *bearer != "" {
		handler = asksBearer(handler, *bearer, scheme+"://"+listener.Addr().String()+"/token")
	}
	fmt.Println(listener.Addr())
	if *cert != "" {
		return http.ServeTLS(listener, handler, *cert, *key)
	}
	return http.Serve(listener, handler)
}

func header(login string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(login))
}

func asksBasic(next http.Handler, login string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != header(login) {
			w.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// asksBearer gives one token for each scope, and takes it for that scope only.
func asksBearer(next http.Handler, login, realm string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			if r.Header.Get("Authorization") != header(login) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			token := base64.RawURLEncoding.EncodeToString([]byte(r.URL.Query().Get("scope")))
			json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 60})
			return
		}
		scope := "registry:catalog:*"
		if rest, ok := strings.CutPrefix(r.URL.Path, "/v2/"); ok && rest != "" {
			repository := rest
			for _, part := range []string{"/manifests/", "/blobs/", "/referrers/", "/tags/"} {
				if at := strings.Index(rest, part); at >= 0 {
					repository = rest[:at]
				}
			}
			scope = "repository:" + repository + ":pull"
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				scope += ",push"
			}
		}
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		decoded, _ := base64.RawURLEncoding.DecodeString(given)
		// Others name both the other way round.
		has := strings.Replace(string(decoded), ":push,pull", ":pull,push", 1)
		if given == "" || !strings.HasPrefix(has, scope) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="tests",scope=%q`, realm, scope))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (client client) options() ([]remote.Option, error) {
	var options []remote.Option
	if client.ca != "" {
		pem, err := os.ReadFile(client.ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		options = append(options, remote.WithTransport(transport))
	}
	if user, password, ok := strings.Cut(client.login, ":"); ok {
		options = append(options, remote.WithAuth(&authn.Basic{Username: user, Password: password}))
	}
	return options, nil
}

// one is an image of one layer.
func one(file, mediaType, configType string) (v1.Image, error) {
	bytes, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.MediaType(configType))
	return mutate.AppendLayers(image, static.NewLayer(bytes, types.MediaType(mediaType)))
}

// written is a manifest as it is sent.
type written []byte

func (it written) RawManifest() ([]byte, error) { return it, nil }

func (it written) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// push pushes an artifact of one layer, whose config is {} as kwctl, wasm-to-oci and oras write it.
func push(to, file, mediaType, configType string, options []remote.Option) error {
	reference, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	bytes, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	manifest := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Annotations: map[string]string{"io.kubewarden.policy.title": "labels"},
	}
	layers := []v1.Layer{
		static.NewLayer([]byte("{}"), types.MediaType(configType)), static.NewLayer(bytes, types.MediaType(mediaType)),
	}
	for _, layer := range layers {
		if err := remote.WriteLayer(reference.Context(), layer, options...); err != nil {
			return err
		}
		described, err := partial.Descriptor(layer)
		if err != nil {
			return err
		}
		manifest.Layers = append(manifest.Layers, *described)
	}
	manifest.Config, manifest.Layers = manifest.Layers[0], manifest.Layers[1:]
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := remote.Put(reference, written(text), options...); err != nil {
		return err
	}
	digest, err := partial.Digest(written(text))
	if err == nil {
		fmt.Println(digest)
	}
	return err
}

// list pushes an index of images that are there.
func list(to string, of []string, options []remote.Option) error {
	reference, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	var all []mutate.IndexAddendum
	for _, one := range of {
		reference, err := name.ParseReference(one)
		if err != nil {
			return err
		}
		image, err := remote.Image(reference, options...)
		if err != nil {
			return err
		}
		all = append(all, mutate.IndexAddendum{Add: image})
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), all...)
	if err := remote.WriteIndex(reference, index, options...); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err == nil {
		fmt.Println(digest)
	}
	return err
}

// attach pushes an artifact that refers to another.
func attach(to, file, mediaType string, options []remote.Option) error {
	reference, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	subject, err := remote.Head(reference, options...)
	if err != nil {
		return err
	}
	image, err := one(file, mediaType, mediaType)
	if err != nil {
		return err
	}
	image = mutate.Subject(image, *subject).(v1.Image)
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	if err := remote.Write(reference.Context().Digest(digest.String()), image, options...); err != nil {
		return err
	}
	return printDigest(image)
}

func printDigest(image v1.Image) error {
	digest, err := image.Digest()
	if err == nil {
		fmt.Println(digest)
	}
	return err
}

// pull writes the one layer, whose digest and size are verified, and prints the manifest.
func pull(from, out string, options []remote.Option) error {
	reference, err := name.ParseReference(from)
	if err != nil {
		return err
	}
	image, err := remote.Image(reference, options...)
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	if len(layers) != 1 {
		return fmt.Errorf("%d layers", len(layers))
	}
	if _, err := image.RawConfigFile(); err != nil {
		return err
	}
	layer, err := layers[0].Compressed()
	if err != nil {
		return err
	}
	defer layer.Close()
	bytes, err := io.ReadAll(layer)
	if err != nil {
		return err
	}
	if err := os.WriteFile(out, bytes, 0o600); err != nil {
		return err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return err
	}
	fmt.Println(string(manifest))
	return nil
}

func referrers(of string, options []remote.Option) error {
	reference, err := name.NewDigest(of)
	if err != nil {
		return err
	}
	index, err := remote.Referrers(reference, options...)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, it := range manifest.Manifests {
		fmt.Println(it.Digest, it.ArtifactType)
	}
	return nil
}

// image pushes the one index of a layout, as `crane push` does, and verifies every digest and size of what the registry gives back.
func image(to, folder string, options []remote.Option) error {
	reference, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	all, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return err
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return err
	}
	if len(manifest.Manifests) != 1 {
		return fmt.Errorf("%d manifests", len(manifest.Manifests))
	}
	index, err := all.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(reference, index, options...); err != nil {
		return err
	}
	pulled, err := remote.Index(reference, options...)
	if err != nil {
		return err
	}
	if err := validate.Index(pulled); err != nil {
		return err
	}
	digest, err := pulled.Digest()
	if err == nil {
		fmt.Println(digest)
	}
	return err
}
