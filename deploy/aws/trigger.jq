# From describe-user-pool to update-user-pool: everything that the pool has, and the trigger. README.md says how to use it.
# Takes away what only describe-user-pool has, so that a setting which is newer than this file is kept, or refused by the CLI.
.UserPool
| {UserPoolId: .Id, PoolName: .Name}
  + del(.Id, .Name, .Arn, .Status, .CreationDate, .LastModifiedDate, .EstimatedNumberOfUsers, .SchemaAttributes, .AliasAttributes,
        .UsernameAttributes, .UsernameConfiguration, .Domain, .CustomDomain, .SmsConfigurationFailure, .EmailConfigurationFailure)
  + {LambdaConfig: ((.LambdaConfig // {}) + {CustomSMSSender: {LambdaVersion: "V1_0", LambdaArn: $lambda}, KMSKeyID: $key})}
# Replaced by Policies.PasswordPolicy.TemporaryPasswordValidityDays; Cognito refuses both at once.
| del(.AdminCreateUserConfig.UnusedAccountValidityDays)
