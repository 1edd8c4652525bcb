package definition

// clinicalTypes numbers the resource types of R4 and R4B together, from 1. The numbers are
// stored in every row: append at the end only, never sort, never remove.
var clinicalTypes = [...]string{
	"Account",
	"ActivityDefinition",
	"AdministrableProductDefinition",
	"AdverseEvent",
	"AllergyIntolerance",
	"Appointment",
	"AppointmentResponse",
	"AuditEvent",
	"Basic",
	"Binary",
	"BiologicallyDerivedProduct",
	"BodyStructure",
	"Bundle",
	"CapabilityStatement",
	"CarePlan",
	"CareTeam",
	"CatalogEntry",
	"ChargeItem",
	"ChargeItemDefinition",
	"Citation",
	"Claim",
	"ClaimResponse",
	"ClinicalImpression",
	"ClinicalUseDefinition",
	"CodeSystem",
	"Communication",
	"CommunicationRequest",
	"CompartmentDefinition",
	"Composition",
	"ConceptMap",
	"Condition",
	"Consent",
	"Contract",
	"Coverage",
	"CoverageEligibilityRequest",
	"CoverageEligibilityResponse",
	"DetectedIssue",
	"Device",
	"DeviceDefinition",
	"DeviceMetric",
	"DeviceRequest",
	"DeviceUseStatement",
	"DiagnosticReport",
	"DocumentManifest",
	"DocumentReference",
	"EffectEvidenceSynthesis",
	"Encounter",
	"Endpoint",
	"EnrollmentRequest",
	"EnrollmentResponse",
	"EpisodeOfCare",
	"EventDefinition",
	"Evidence",
	"EvidenceReport",
	"EvidenceVariable",
	"ExampleScenario",
	"ExplanationOfBenefit",
	"FamilyMemberHistory",
	"Flag",
	"Goal",
	"GraphDefinition",
	"Group",
	"GuidanceResponse",
	"HealthcareService",
	"ImagingStudy",
	"Immunization",
	"ImmunizationEvaluation",
	"ImmunizationRecommendation",
	"ImplementationGuide",
	"Ingredient",
	"InsurancePlan",
	"Invoice",
	"Library",
	"Linkage",
	"List",
	"Location",
	"ManufacturedItemDefinition",
	"Measure",
	"MeasureReport",
	"Media",
	"Medication",
	"MedicationAdministration",
	"MedicationDispense",
	"MedicationKnowledge",
	"MedicationRequest",
	"MedicationStatement",
	"MedicinalProduct",
	"MedicinalProductAuthorization",
	"MedicinalProductContraindication",
	"MedicinalProductDefinition",
	"MedicinalProductIndication",
	"MedicinalProductIngredient",
	"MedicinalProductInteraction",
	"MedicinalProductManufactured",
	"MedicinalProductPackaged",
	"MedicinalProductPharmaceutical",
	"MedicinalProductUndesirableEffect",
	"MessageDefinition",
	"MessageHeader",
	"MolecularSequence",
	"NamingSystem",
	"NutritionOrder",
	"NutritionProduct",
	"Observation",
	"ObservationDefinition",
	"OperationDefinition",
	"OperationOutcome",
	"Organization",
	"OrganizationAffiliation",
	"PackagedProductDefinition",
	"Parameters",
	"Patient",
	"PaymentNotice",
	"PaymentReconciliation",
	"Person",
	"PlanDefinition",
	"Practitioner",
	"PractitionerRole",
	"Procedure",
	"Provenance",
	"Questionnaire",
	"QuestionnaireResponse",
	"RegulatedAuthorization",
	"RelatedPerson",
	"RequestGroup",
	"ResearchDefinition",
	"ResearchElementDefinition",
	"ResearchStudy",
	"ResearchSubject",
	"RiskAssessment",
	"RiskEvidenceSynthesis",
	"Schedule",
	"SearchParameter",
	"ServiceRequest",
	"Slot",
	"Specimen",
	"SpecimenDefinition",
	"StructureDefinition",
	"StructureMap",
	"Subscription",
	"SubscriptionStatus",
	"SubscriptionTopic",
	"Substance",
	"SubstanceDefinition",
	"SubstanceNucleicAcid",
	"SubstancePolymer",
	"SubstanceProtein",
	"SubstanceReferenceInformation",
	"SubstanceSourceMaterial",
	"SubstanceSpecification",
	"SupplyDelivery",
	"SupplyRequest",
	"Task",
	"TerminologyCapabilities",
	"TestReport",
	"TestScript",
	"ValueSet",
	"VerificationResult",
	"VisionPrescription",
}

// platformTypes numbers the resource types of the platform, from firstPlatformID. Append only.
var platformTypes = [...]string{
	"Project",
	"User",
	"Membership",
	"IdentityProvider",
	"ClientApplication",
	"AccessPolicyV2",
}

const firstPlatformID = 1000

var typeIDs = func() map[string]int16 {
	ids := make(map[string]int16, len(clinicalTypes)+len(platformTypes))
	for i, name := range clinicalTypes {
		ids[name] = int16(i + 1)
	}
	for i, name := range platformTypes {
		ids[name] = int16(firstPlatformID + i)
	}
	return ids
}()

// TypeID returns the number that stands for a resource type in stored rows. It is the same in
// every release and never changes. False means that no release knows the type.
func TypeID(name string) (int16, bool) {
	id, ok := typeIDs[name]
	return id, ok
}

// TypeName is the inverse of TypeID; "" for a number that stands for nothing.
func TypeName(id int16) string {
	switch i := int(id); {
	case i >= 1 && i <= len(clinicalTypes):
		return clinicalTypes[i-1]
	case i >= firstPlatformID && i < firstPlatformID+len(platformTypes):
		return platformTypes[i-firstPlatformID]
	default:
		return ""
	}
}

// IsPlatform tells whether name is a resource type of the platform itself.
func IsPlatform(name string) bool { return typeIDs[name] >= firstPlatformID }
