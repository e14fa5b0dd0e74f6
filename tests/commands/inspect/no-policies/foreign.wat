(component (import "acme:secrets/vault@1.0.0" (instance (export "read" (func)))))
