from trigger_sdk import define_config

config = define_config(project="proj_helloexampleprojects", dirs=["tasks"])
