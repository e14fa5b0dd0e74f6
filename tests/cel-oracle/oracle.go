package main

import (
	"context"
	"fmt"

	"github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/admission"
	celplugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// oracle holds the compilers of webhooks' match conditions, and the reviews.
type oracle struct {
	admission       celplugin.ConditionCompiler
	authorization   authorizationcel.Compiler
	admissions      map[string]*admission.VersionedAttributes
	accesses        map[string]*authorizationv1.SubjectAccessReview
	declarations    celplugin.OptionalVariableDeclarations
	bindings        celplugin.OptionalVariableBindings
	environmentType environment.Type
}

func newOracle() *oracle {
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	return &oracle{
		admission:     celplugin.NewConditionCompiler(base),
		authorization: authorizationcel.NewCompiler(base),
		admissions:    map[string]*admission.VersionedAttributes{},
		accesses:      map[string]*authorizationv1.SubjectAccessReview{},
		// As k8s.io/apiserver/pkg/admission/plugin/webhook declares them, but nobody is there to ask.
		declarations:    celplugin.OptionalVariableDeclarations{HasParams: false, HasAuthorizer: true},
		environmentType: environment.NewExpressions,
	}
}

// keep remembers a review by its name.
func (o *oracle) keep(name string, body []byte) error {
	var meta metav1.TypeMeta
	if err := utiljson.Unmarshal(body, &meta); err != nil {
		return err
	}
	switch meta.Kind {
	case "AdmissionReview":
		var review admissionv1.AdmissionReview
		if err := utiljson.Unmarshal(body, &review); err != nil {
			return err
		}
		attributes, err := attributesOf(review.Request)
		o.admissions[name] = attributes
		return err
	case "SubjectAccessReview":
		var review authorizationv1.SubjectAccessReview
		err := utiljson.Unmarshal(body, &review)
		o.accesses[name] = &review
		return err
	}
	return fmt.Errorf("unknown kind %q", meta.Kind)
}

func (o *oracle) ask(question Question) (*Answer, error) {
	answer := &Answer{}
	var admissions []*admission.VersionedAttributes
	for _, name := range question.Reviews {
		if review, ok := o.accesses[name]; ok {
			result := o.authorize(question.Expression, review, answer)
			answer.Results = append(answer.Results, result)
			continue
		}
		review, ok := o.admissions[name]
		if !ok {
			return nil, fmt.Errorf("no review %q", name)
		}
		admissions = append(admissions, review)
	}
	if len(admissions) == 0 {
		return answer, nil
	}
	condition := o.compile(&matchconditions.MatchCondition{Expression: question.Expression})
	if errors := condition.CompilationErrors(); len(errors) > 0 {
		answer.Refused = errors[0].Error()
	}
	expression := o.compile(anyType(question.Expression))
	if errors := expression.CompilationErrors(); len(errors) > 0 {
		answer.Invalid = errors[0].Error()
		return answer, nil
	}
	for _, review := range admissions {
		answer.Results = append(answer.Results, o.admit(expression, review))
	}
	return answer, nil
}

func (o *oracle) compile(expression celplugin.ExpressionAccessor) celplugin.ConditionEvaluator {
	return o.admission.CompileCondition([]celplugin.ExpressionAccessor{expression}, o.declarations, o.environmentType)
}

// admit evaluates as the matcher of admission webhooks does. The cost is left out where it differs from one time to the
// next: Go's maps have no order, and a loop may end early.
func (o *oracle) admit(expression celplugin.ConditionEvaluator, review *admission.VersionedAttributes) Result {
	first := o.admitOnce(expression, review)
	for range 8 {
		if first.Cost > 0 && first.Cost < 10_000 && o.admitOnce(expression, review).Cost != first.Cost {
			first.Cost = 0
		}
	}
	return first
}

func (o *oracle) admitOnce(expression celplugin.ConditionEvaluator, review *admission.VersionedAttributes) Result {
	request := celplugin.CreateAdmissionRequest(review.Attributes, metav1.GroupVersionResource(review.GetResource()), metav1.GroupVersionKind(review.VersionedKind))
	budget := int64(celconfig.RuntimeCELCostBudgetMatchConditions)
	values, left, err := expression.ForInput(context.Background(), review, request, o.bindings, nil, budget)
	switch {
	case err != nil:
		return Result{Error: err.Error()}
	case values[0].Error != nil:
		return Result{Error: values[0].Error.Error(), Cost: budget - left}
	default:
		return Result{Value: canonical(values[0].EvalResult), Cost: budget - left}
	}
}

// authorize asks the matcher of authorization webhooks, which knows only bool.
func (o *oracle) authorize(expression string, review *authorizationv1.SubjectAccessReview, answer *Answer) Result {
	compiled, err := o.authorization.CompileCELExpression(&authorizationcel.SubjectAccessReviewMatchCondition{Expression: expression})
	if err != nil {
		answer.Refused = err.Error()
		return Result{}
	}
	matcher := authorizationcel.CELMatcher{
		CompilationResults: []authorizationcel.CompilationResult{compiled},
		UsesFieldSelector:  compiled.UsesFieldSelector,
		UsesLabelSelector:  compiled.UsesLabelSelector,
	}
	matched, err := matcher.Eval(context.Background(), review)
	if err != nil {
		return Result{Error: err.Error()}
	}
	return Result{Value: fmt.Sprint(matched)}
}

// anyType is an expression whose result may be of any type.
type anyType string

func (a anyType) GetExpression() string    { return string(a) }
func (a anyType) ReturnTypes() []*cel.Type { return []*cel.Type{cel.AnyType} }

// attributesOf turns a request as a webhook gets it back into what the API server had.
func attributesOf(request *admissionv1.AdmissionRequest) (*admission.VersionedAttributes, error) {
	object, err := objectOf(request.Object)
	if err != nil {
		return nil, err
	}
	oldObject, err := objectOf(request.OldObject)
	if err != nil {
		return nil, err
	}
	options, err := objectOf(request.Options)
	if err != nil {
		return nil, err
	}
	extra := map[string][]string{}
	for key, values := range request.UserInfo.Extra {
		extra[key] = values
	}
	who := &user.DefaultInfo{
		Name:   request.UserInfo.Username,
		UID:    request.UserInfo.UID,
		Groups: request.UserInfo.Groups,
		Extra:  extra,
	}
	kind := schema.GroupVersionKind(request.Kind)
	dryRun := request.DryRun != nil && *request.DryRun
	attributes := admission.NewAttributesRecord(object, oldObject, kind, request.Namespace, request.Name,
		schema.GroupVersionResource(request.Resource), request.SubResource, admission.Operation(request.Operation),
		options, dryRun, who)
	return &admission.VersionedAttributes{
		Attributes:         attributes,
		VersionedObject:    object,
		VersionedOldObject: oldObject,
		VersionedKind:      kind,
	}, nil
}

// objectOf gives a true nil where there is no object.
func objectOf(raw runtime.RawExtension) (runtime.Object, error) {
	if len(raw.Raw) == 0 || string(raw.Raw) == "null" {
		return nil, nil
	}
	fields := map[string]any{}
	if err := utiljson.Unmarshal(raw.Raw, &fields); err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: fields}, nil
}
